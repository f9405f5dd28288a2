package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// SMTP sends e-mail: text and HTML, and the report with it (RFC 5321, RFC 5322, RFC 2046).
type SMTP struct {
	Server     string             `hcl:"server" doc:"Host and port of the mail server: 587 for submission with STARTTLS, 465 with TLS from the start." example:"mail.example.org:587"`
	From       string             `hcl:"from" doc:"Who sends it." example:"Game days <gameday@example.org>"`
	To         []string           `hcl:"to" doc:"Who gets it." example:"[\"team@example.org\"]"`
	On         []string           `hcl:"on,optional" default:"[\"abort\", \"end\"]" enum:"begin|inject|abort|mended|end|held|refuted|aborted|inconclusive|error|not restored" doc:"When: at moments of a run, or when it ends with one of the verdicts."`
	Encryption string             `hcl:"encryption,optional" default:"starttls" enum:"starttls|tls|none" doc:"starttls: asked for on a plain connection, and required. tls: from the start. none: readable on the way, and without a password."`
	Username   string             `hcl:"username,optional" doc:"Name to sign in with (AUTH PLAIN)." example:"gameday"`
	Password   experiments.Secret `hcl:"password,optional" doc:"Password to sign in with." example:"env(\"SMTP_PASSWORD\")"`
	Attach     bool               `hcl:"attach_report,optional" default:"true" doc:"Attach the report as a page of HTML when the run is over."`
	TLS        *tlsconfig.Block   `hcl:"tls,block" doc:"Which certificates to trust and to show."`
}

// Validate implements [experiments.Validator].
func (s *SMTP) Validate() []experiments.Problem {
	var list []experiments.Problem
	say := func(attribute, summary, detail string) {
		list = append(list, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
	}
	if host, port, err := net.SplitHostPort(s.Server); err != nil || host == "" || port == "" {
		say("server", "Not a server", "write host:port, such as \"mail.example.org:587\".")
	}
	if _, err := mail.ParseAddress(s.From); err != nil {
		say("from", "Not an address", fmt.Sprintf("%q is not one address of e-mail.", s.From))
	}
	if len(s.To) == 0 {
		say("to", "Nobody to write to", "name at least one address.")
	}
	for _, to := range s.To {
		if _, err := mail.ParseAddress(to); err != nil {
			say("to", "Not an address", fmt.Sprintf("%q is not one address of e-mail.", to))
		}
	}
	switch {
	case (s.Username == "") != s.Password.IsZero():
		say("username", "Half a sign-in", "username and password go together.")
	case s.Username != "" && s.Encryption == "none":
		say("encryption", "Password in the open", "with \"none\" everybody on the way could read the password: use \"starttls\" or \"tls\".")
	}
	return append(list, s.TLS.Problems()...)
}

// Wants implements [experiments.Receiver].
func (s *SMTP) Wants(n *experiments.Notice) bool { return wants(s.On, n) }

// Deliver implements [experiments.Receiver].
func (s *SMTP) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return experiments.Receipt{}, fmt.Errorf("from: %w", err)
	}
	var to []*mail.Address
	for _, text := range s.To {
		address, err := mail.ParseAddress(text)
		if err != nil {
			return experiments.Receipt{}, fmt.Errorf("to: %w", err)
		}
		to = append(to, address)
	}
	message, err := s.message(n, from, to)
	if err != nil {
		return experiments.Receipt{}, fmt.Errorf("write the e-mail: %w", err)
	}
	if err := s.hand(ctx, from, to, message); err != nil {
		return experiments.Receipt{}, mailError(ctx, "e-mail through "+s.Server, err)
	}
	return experiments.Receipt{}, nil
}

var errNoSTARTTLS = errors.New("the server offers no STARTTLS; if that is how it should be, write encryption = \"none\"")

// hand gives a message to the server.
func (s *SMTP) hand(ctx context.Context, from *mail.Address, to []*mail.Address, message []byte) (err error) {
	config, err := s.TLS.Config()
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(s.Server)
	if err != nil {
		return err
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Server)
	if err != nil {
		return err
	}
	// net/smtp knows no contexts: closing the connection ends whatever it waits for.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if s.Encryption == "tls" {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return errors.Join(err, ignoreClosed(conn.Close()))
		}
		conn = secure
	}
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return errors.Join(err, ignoreClosed(conn.Close()))
	}
	defer func() {
		if closing := ignoreClosed(client.Close()); err == nil && closing != nil {
			err = closing
		}
	}()
	if s.Encryption == "starttls" {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return errNoSTARTTLS
		}
		if err := client.StartTLS(config); err != nil {
			return err
		}
	}
	if s.Username != "" {
		if err := client.Auth(smtp.PlainAuth("", s.Username, s.Password.Reveal(), host)); err != nil {
			return fmt.Errorf("sign in as %s: %w", s.Username, err)
		}
	}
	if err := client.Mail(from.Address); err != nil {
		return err
	}
	for _, address := range to {
		if err := client.Rcpt(address.Address); err != nil {
			return fmt.Errorf("to %s: %w", address.Address, err)
		}
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(message); err != nil {
		return err
	}
	// The server takes the message, or not, with its answer to the end of it.
	if err := body.Close(); err != nil {
		return err
	}
	if err := client.Quit(); err != nil {
		return nil // it was taken
	}
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// mailError words an error. An answer of 4xx is for now, one of 5xx for good (RFC 5321,
// 4.2.1).
func mailError(ctx context.Context, what string, err error) error {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		said := fmt.Errorf("%s was refused: %s", what, textsafe.Line(err.Error(), 200))
		if answer.Code/100 == 4 {
			return &experiments.RetryError{Err: said}
		}
		return said
	}
	if errors.Is(err, errNoSTARTTLS) {
		return fmt.Errorf("%s: %w", what, err)
	}
	var protocol textproto.ProtocolError
	if errors.As(err, &protocol) {
		return fmt.Errorf("%s: what answers there is no mail server: %s", what, textsafe.Line(err.Error(), 120))
	}
	if ctx.Err() != nil {
		return &experiments.RetryError{Err: fmt.Errorf("%s: no answer in time", what)}
	}
	return failure(what, err)
}

// message writes the e-mail. Headers hold only what is safe in one: addresses as
// net/mail writes them, and the rest without line breaks, encoded where it must be.
func (s *SMTP) message(n *experiments.Notice, from *mail.Address, to []*mail.Address) ([]byte, error) {
	var out bytes.Buffer
	var names []string
	for _, address := range to {
		names = append(names, address.String())
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	id := func(moment string) string { return "<" + n.Run + "." + moment + "@" + domain + ">" }
	header := func(name, value string) { fmt.Fprintf(&out, "%s: %s\r\n", name, value) }
	header("From", from.String())
	header("To", strings.Join(names, ",\r\n "))
	header("Subject", mime.QEncoding.Encode("utf-8", "[gameday] "+textsafe.Line(title(n), 150)))
	header("Date", n.At.Format(time.RFC1123Z))
	header("Message-ID", id(strings.ReplaceAll(n.Moment, " ", "-")))
	if n.Moment != experiments.MomentBegin {
		header("References", id(experiments.MomentBegin)) // one thread a run
	}
	header("Auto-Submitted", "auto-generated") // RFC 3834: nobody should answer it by machine
	header("MIME-Version", "1.0")

	whole := multipart.NewWriter(&out)
	header("Content-Type", "multipart/mixed; boundary="+whole.Boundary())
	out.WriteString("\r\n")
	var forms bytes.Buffer
	either := multipart.NewWriter(&forms)
	for _, form := range []struct{ kind, text string }{{"text/plain", mailText(n)}, {"text/html", mailHTML(n)}} {
		part, err := either.CreatePart(textproto.MIMEHeader{"Content-Type": {form.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			return nil, err
		}
		quoted := quotedprintable.NewWriter(part)
		if _, err := quoted.Write([]byte(form.text)); err != nil {
			return nil, err
		}
		if err := quoted.Close(); err != nil {
			return nil, err
		}
	}
	if err := either.Close(); err != nil {
		return nil, err
	}
	part, err := whole.CreatePart(textproto.MIMEHeader{"Content-Type": {"multipart/alternative; boundary=" + either.Boundary()}})
	if err != nil {
		return nil, err
	}
	if _, err := part.Write(forms.Bytes()); err != nil {
		return nil, err
	}
	if s.Attach && n.Page != nil {
		if err := attach(whole, n); err != nil {
			return nil, err
		}
	}
	if err := whole.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// attach adds the report.
func attach(whole *multipart.Writer, n *experiments.Notice) error {
	var page bytes.Buffer
	if err := n.Page(&page); err != nil {
		return fmt.Errorf("render the report: %w", err)
	}
	part, err := whole.CreatePart(textproto.MIMEHeader{
		"Content-Type": {"text/html; charset=utf-8"}, "Content-Transfer-Encoding": {"base64"},
		"Content-Disposition": {mime.FormatMediaType("attachment", map[string]string{"filename": n.Run + ".html"})},
	})
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(page.Bytes())
	for len(text) > 0 {
		line := text[:min(len(text), 76)] // RFC 2045, 6.8
		text = text[len(line):]
		if _, err := part.Write([]byte(line + "\r\n")); err != nil {
			return err
		}
	}
	return nil
}

// facts are what both forms of the text list.
func facts(n *experiments.Notice) [][2]string {
	var list [][2]string
	add := func(name, value string) {
		if value = textsafe.Line(value, 600); value != "" {
			list = append(list, [2]string{name, value})
		}
	}
	add("Scenario", n.Scenario)
	add("What it shows", n.Description)
	add("Verdict", string(n.Verdict))
	add("Why", n.Reason)
	add("Stopped by", n.Cause)
	for _, fault := range n.Faults[:min(len(n.Faults), 20)] {
		add("Fault", fmt.Sprintf("%s (%s): %d in place, %d mended", fault.Name, fault.Kind, fault.Injected, fault.Mended))
	}
	for _, left := range n.Left[:min(len(n.Left), 20)] {
		add("Still broken", left)
	}
	if len(n.Left) > 0 {
		add("Mend it", "gameday recover "+n.Run)
	}
	add("Run", n.Run)
	add("Host", n.Host)
	add("Began", n.Began.UTC().Format(time.RFC3339))
	if !n.Ended.IsZero() {
		add("Ended", n.Ended.UTC().Format(time.RFC3339))
	}
	return list
}

func mailText(n *experiments.Notice) string {
	var out strings.Builder
	out.WriteString(textsafe.Line(n.Text, 1000) + "\r\n\r\n")
	for _, fact := range facts(n) {
		fmt.Fprintf(&out, "%s: %s\r\n", fact[0], fact[1])
	}
	return out.String()
}

func mailHTML(n *experiments.Notice) string {
	var out strings.Builder
	fmt.Fprintf(&out, "<!DOCTYPE html>\r\n<html lang=\"en\"><body>\r\n<p>%s</p>\r\n<table>\r\n", html.EscapeString(textsafe.Line(n.Text, 1000)))
	for _, fact := range facts(n) {
		fmt.Fprintf(&out, "<tr><th align=\"left\" valign=\"top\">%s</th><td>%s</td></tr>\r\n", fact[0], html.EscapeString(fact[1]))
	}
	out.WriteString("</table>\r\n</body></html>\r\n")
	return out.String()
}
