package notify

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
	"github.com/gameday-sh/gameday/internal/tlsconfig/tlstest"
)

// mailServer is a real SMTP server that keeps what it takes.
type mailServer struct {
	address string
	refuse  func(to string) error

	mu   sync.Mutex
	mail []taken
}

type taken struct {
	from, user string
	to         []string
	text       []byte
}

func (m *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &mailSession{server: m}, nil
}

func (m *mailServer) all() []taken {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]taken(nil), m.mail...)
}

type mailSession struct {
	server *mailServer
	taken  taken
}

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "gameday" || password != "pa55word" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such user"}
		}
		s.taken.user = user
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.taken.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.taken.to = append(s.taken.to, to)
	if s.server.refuse != nil {
		return s.server.refuse(to)
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.taken.text = text
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mail = append(s.server.mail, s.taken)
	return err
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

// newMailServer starts one; with a certificate it offers STARTTLS, or speaks TLS from the
// start.
func newMailServer(t *testing.T, certificate *tls.Certificate, implicit bool) *mailServer {
	t.Helper()
	m := &mailServer{}
	server := smtp.NewServer(m)
	server.Domain, server.ReadTimeout, server.WriteTimeout = "mail.example.org", 10*time.Second, 10*time.Second
	server.ErrorLog = quiet{}
	server.AllowInsecureAuth = false
	if certificate != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = listener.Addr().String()
	if implicit {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return m
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func newSMTP(address string) *SMTP {
	return &SMTP{Server: address, From: "Game days <gameday@example.org>", To: []string{"team@example.org", "Zoë <zoe@example.org>"}, On: []string{"abort", "end"}, Encryption: "none", Attach: true}
}

func TestAnEMailHasTextHTMLAndTheReport(t *testing.T) {
	authority := tlstest.New(t)
	for _, test := range []struct {
		name, encryption string
		implicit         bool
	}{{"starttls", "starttls", false}, {"tls", "tls", true}} {
		t.Run(test.name, func(t *testing.T) {
			m := newMailServer(t, &authority.Server, test.implicit)
			receiver := newSMTP(m.address)
			receiver.Encryption, receiver.TLS = test.encryption, &tlsconfig.Block{CAFile: authority.CAFile}
			receiver.Username, receiver.Password = "gameday", experiments.NewSecret("pa55word")
			if moments := sent(t, tell(t, plan("mail", "smtp", receiver))); moments != "abort end" {
				t.Errorf("told of %q", moments)
			}
			all := m.all()
			if len(all) != 2 {
				t.Fatalf("%d e-mails", len(all))
			}
			end := all[1]
			if end.user != "gameday" || end.from != "gameday@example.org" || strings.Join(end.to, " ") != "team@example.org zoe@example.org" {
				t.Errorf("%+v", end)
			}
			checkMail(t, end.text)
			if bytes.Contains(all[0].text, []byte("attachment")) {
				t.Error("a report is attached while the run goes on")
			}
		})
	}
}

// checkMail reads an e-mail as its receiver's program does.
func checkMail(t *testing.T, text []byte) {
	t.Helper()
	message, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil || subject != "[gameday] slow: ABORTED" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if message.Header.Get("Bcc") != "" || len(message.Header) != 9 {
		t.Errorf("headers %v", message.Header)
	}
	if list, err := message.Header.AddressList("To"); err != nil || len(list) != 2 || list[1].Name != "Zoë" {
		t.Errorf("to %v, %v", list, err)
	}
	if at, err := message.Header.Date(); err != nil || !at.Equal(start.Add(10*time.Second)) {
		t.Errorf("date %v, %v", at, err)
	}
	if message.Header.Get("Message-ID") != "<20261124-153000-slow-7f3a.end@example.org>" || message.Header.Get("References") != "<20261124-153000-slow-7f3a.begin@example.org>" {
		t.Errorf("ids %v", message.Header)
	}
	for line := range strings.Lines(string(text)) {
		if len(line) > 1000 { // RFC 5321, 4.5.3.1.6
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	parts := partsOf(t, message.Header.Get("Content-Type"), message.Body)
	for _, kind := range []string{"text/plain; charset=utf-8", "text/html; charset=utf-8"} {
		part := parts[kind]
		if !strings.Contains(part, "ABORTED") || !strings.Contains(part, "late (toxiproxy_latency): 1 in place, 1 mended") || strings.Contains(part, planted) || strings.Contains(part, "\x1b") {
			t.Errorf("%s: %q", kind, part)
		}
	}
	if strings.Contains(parts["text/html; charset=utf-8"], "<script>") {
		t.Errorf("a script in %q", parts["text/html; charset=utf-8"])
	}
	if report := parts["20261124-153000-slow-7f3a.html"]; report != "<html>the report of 20261124-153000-slow-7f3a</html>" {
		t.Errorf("attached %q", report)
	}
}

// partsOf reads parts, by type, or by file name where they are attached.
func partsOf(t *testing.T, contentType string, body io.Reader) map[string]string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		t.Fatalf("%q: %v", contentType, err)
	}
	parts := map[string]string{}
	reader := multipart.NewReader(body, params["boundary"])
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		own := part.Header.Get("Content-Type")
		if strings.HasPrefix(own, "multipart/") {
			for name, text := range partsOf(t, own, part) {
				parts[name] = text
			}
			continue
		}
		var content io.Reader = part
		switch part.Header.Get("Content-Transfer-Encoding") {
		case "base64":
			content = base64.NewDecoder(base64.StdEncoding, part)
		case "quoted-printable":
			content = quotedprintable.NewReader(part)
		}
		text, err := io.ReadAll(content)
		if err != nil {
			t.Fatal(err)
		}
		if name := part.FileName(); name != "" {
			own = name
		}
		parts[own] = string(text)
	}
}

func TestNoNameGetsIntoTheHeadersOfAnEMail(t *testing.T) {
	n := sample()
	n.Scenario, n.Verdict = "x\r\nBcc: all@example.org\r\n\r\nbody", experiments.Verdict("held\r\nX: y")
	from, to := &mail.Address{Name: "a\r\nX-Evil: 1", Address: "a@example.org"}, []*mail.Address{{Name: "b\nX-Evil: 1", Address: "b@example.org"}}
	text, err := newSMTP("x:25").message(n, from, to)
	if err != nil {
		t.Fatal(err)
	}
	message, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if message.Header.Get("Bcc")+message.Header.Get("X-Evil")+message.Header.Get("X") != "" {
		t.Errorf("headers %v", message.Header)
	}
}

func TestWhatGoesWrongWithEMailIsSaid(t *testing.T) {
	authority := tlstest.New(t)
	plain, secure := newMailServer(t, nil, false), newMailServer(t, &authority.Server, false)
	busy := newMailServer(t, nil, false)
	tries := 0
	busy.refuse = func(string) error {
		if tries++; tries == 1 {
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
		}
		return nil
	}
	unknown := newMailServer(t, nil, false)
	unknown.refuse = func(string) error {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	go func() {
		for {
			conn, err := other.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "+OK a POP3 server\r\n")
			_ = conn.Close()
		}
	}()
	with := func(address, encryption, user, ca string) *SMTP {
		s := newSMTP(address)
		s.On, s.Encryption, s.Username = []string{"end"}, encryption, user
		if user != "" {
			s.Password = experiments.NewSecret("wr0ng-pass")
		}
		if ca != "" {
			s.TLS = &tlsconfig.Block{CAFile: ca}
		}
		return s
	}
	for _, test := range []struct {
		name     string
		receiver *SMTP
		attempts int
		want     string // in the error; empty for success
	}{
		{"without STARTTLS nothing is sent in the open", with(plain.address, "starttls", "", ""), 1, "offers no STARTTLS"},
		{"a certificate of nobody", with(secure.address, "starttls", "", ""), 1, "unknown authority"},
		{"a wrong password", with(secure.address, "starttls", "gameday", authority.CAFile), 1, "sign in as gameday"},
		{"a mailbox that is not there", with(unknown.address, "none", "", ""), 1, "no such mailbox"},
		{"a server that says later", with(busy.address, "none", "", ""), 2, ""},
		{"a server of another kind", with(other.Addr().String(), "none", "", ""), 1, "no mail server"},
	} {
		t.Run(test.name, func(t *testing.T) {
			told := tell(t, plan("mail", "smtp", test.receiver))
			if len(told) != 1 || told[0].Attempts != test.attempts || (told[0].Error == "") != (test.want == "") || !strings.Contains(told[0].Error, test.want) || strings.Contains(told[0].Error, "wr0ng-pass") {
				t.Errorf("%+v", told)
			}
		})
	}
	if len(plain.all())+len(secure.all()) > 0 {
		t.Error("an e-mail went through in the open, or to a stranger")
	}
}
