package notify

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// hook is a webhook that is told of the end alone.
func hook(url string) *Webhook {
	return &Webhook{URL: experiments.NewSecret(url), On: []string{"end"}, Method: "POST", ContentType: "application/json"}
}

func TestWhatGoesWrongIsSaidWithoutTheAddress(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(secure.Close)
	garbage, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = garbage.Close() })
	go func() {
		for {
			conn, err := garbage.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1024))
			_, _ = conn.Write([]byte("\x00\xff garbage\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	later := func(w http.ResponseWriter, nth int) {
		if nth == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
		}
	}
	for _, test := range []struct {
		name     string
		url      string
		attempts int    // at least; 1 is exactly once
		want     string // in the error; empty for success
	}{
		{"refused", "http://" + refused, 2, "connection refused"},
		{"no such name", "http://no-such-host.invalid", 0, "no-such-host.invalid: "},
		{"a certificate of nobody", secure.URL, 1, "certificate"},
		{"TLS asked of a server without", "https://" + strings.TrimPrefix(newServer(t, says(200, "")).URL, "http://"), 1, "HTTP response to HTTPS"},
		{"garbage", "http://" + garbage.Addr().String(), 2, "malformed HTTP"},
		{"an error of the server", newServer(t, says(500, "<b>oops</b>\x1b[31m")).URL, 2, "answered with 500 Internal Server Error: <b>oops</b>"},
		{"no rights", newServer(t, says(403, "invalid_token")).URL, 1, "answered with 403 Forbidden: invalid_token"},
		{"another address", newServer(t, func(w http.ResponseWriter, _ int) {
			w.Header().Set("Location", "http://example.org/")
			w.WriteHeader(302)
		}).URL, 1, "redirects are not followed"},
		{"too many, for a while", newServer(t, later).URL, 2, ""},
		{"too many, for too long", newServer(t, func(w http.ResponseWriter, _ int) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		}).URL, 1, "asks to wait 1h"},
		{"busy, then not", newServer(t, func(w http.ResponseWriter, nth int) {
			if nth < 3 {
				w.WriteHeader(503)
			}
		}).URL, 3, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := plan("hook", "webhook", hook(test.url+"/services/"+planted))
			p.RetryWithin = 2 * time.Second
			told := tell(t, p)
			if len(told) != 1 {
				t.Fatalf("%+v", told)
			}
			n := told[0]
			if (n.State == experiments.DeliverySent) != (test.want == "") || !strings.Contains(n.Error, test.want) || n.Attempts < test.attempts || test.attempts == 1 && n.Attempts != 1 {
				t.Errorf("%+v", n)
			}
			if strings.Contains(n.Error, "services") || strings.ContainsAny(n.Error, "\x1b\n") {
				t.Errorf("the address is shown, or what the server sent: %q", n.Error)
			}
		})
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0,
		"Tue, 24 Nov 2026 12:00:30 GMT": 30 * time.Second, "Tue, 24 Nov 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// acting is a receiver that does as it is told.
type acting struct {
	deliver func(context.Context, *experiments.Notice) (experiments.Receipt, error)
	record  func(experiments.Event)
}

func (a *acting) Wants(*experiments.Notice) bool { return true }
func (a *acting) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	return a.deliver(ctx, n)
}
func (a *acting) Record(event experiments.Event) {
	if a.record != nil {
		a.record(event)
	}
}

func TestAReceiverThatHangsHoldsNothingUp(t *testing.T) {
	for _, test := range []struct {
		name string
		hang func(ctx context.Context, release chan struct{})
		want string
	}{
		{"until its time is over", func(ctx context.Context, _ chan struct{}) { <-ctx.Done() }, "deadline"},
		{"whatever it is told", func(_ context.Context, release chan struct{}) { <-release }, "did not stop when it was told to"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				slow := plan("slow", "acting", &acting{deliver: func(ctx context.Context, _ *experiments.Notice) (experiments.Receipt, error) {
					test.hang(ctx, release)
					return experiments.Receipt{}, ctx.Err()
				}})
				fine := plan("fine", "acting", &acting{deliver: func(context.Context, *experiments.Notice) (experiments.Receipt, error) {
					return experiments.Receipt{}, nil
				}})
				d := New(t.Context(), []*experiments.ReceiverPlan{slow, fine}, Options{})
				began := time.Now()
				for _, event := range events() {
					d.Watch(event)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("the run was held up for %s", took)
				}
				told := d.End(t.Context(), result(), experiments.MomentEnd)
				if took := time.Since(began); took > FlushWithin+abandonAfter {
					t.Errorf("the end was held up for %s", took)
				}
				delivered, failed := 0, ""
				for _, n := range told {
					if n.Receiver == "fine" && n.State == experiments.DeliverySent {
						delivered++
					}
					if n.Receiver == "slow" && n.State == experiments.DeliveryFailed {
						failed += n.Error + "\n"
					}
				}
				if delivered != 5 || !strings.Contains(failed, test.want) {
					t.Errorf("%d delivered; failed: %s", delivered, failed)
				}
				close(release)
				synctest.Wait()
			})
		})
	}
}

func TestTheEndIsToldAlthoughEarlierNoticesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		receiver := &acting{deliver: func(_ context.Context, n *experiments.Notice) (experiments.Receipt, error) {
			if down && n.Moment != experiments.MomentEnd {
				return experiments.Receipt{}, &experiments.RetryError{Err: errors.New("down")}
			}
			return experiments.Receipt{}, nil
		}}
		p := plan("team", "acting", receiver)
		p.RetryWithin = 10 * time.Minute
		d := New(t.Context(), []*experiments.ReceiverPlan{p}, Options{})
		for _, event := range events() {
			d.Watch(event)
		}
		time.Sleep(time.Minute)
		told := d.End(t.Context(), result(), experiments.MomentEnd)
		if len(told) != 5 {
			t.Fatalf("%+v", told)
		}
		if told[0].State != experiments.DeliveryFailed || told[0].Attempts < 10 || told[4].Moment != experiments.MomentEnd || told[4].State != experiments.DeliverySent {
			t.Errorf("%+v", told)
		}
	})
}

func TestASecondInterruptEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hurry, cancel := context.WithCancel(t.Context())
		d := New(t.Context(), []*experiments.ReceiverPlan{plan("slow", "acting", &acting{deliver: func(ctx context.Context, _ *experiments.Notice) (experiments.Receipt, error) {
			<-ctx.Done()
			return experiments.Receipt{}, ctx.Err()
		}})}, Options{})
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		told := d.End(hurry, result(), experiments.MomentEnd)
		if took := time.Since(began); took != time.Second || len(told) != 1 || told[0].State != experiments.DeliveryFailed {
			t.Errorf("after %s: %+v", took, told)
		}
	})
}

func TestAReceiverThatPanicsFailsAndNothingElse(t *testing.T) {
	d := New(t.Context(), []*experiments.ReceiverPlan{plan("wild", "acting", &acting{
		deliver: func(context.Context, *experiments.Notice) (experiments.Receipt, error) { panic("lost " + planted) },
		record: func(event experiments.Event) {
			if event.Stop != nil || event.Phase == experiments.PhaseRevert {
				panic("on " + planted)
			}
		},
	})}, Options{Redact: redacted})
	for _, event := range events() {
		d.Watch(event)
	}
	told := d.End(t.Context(), result(), experiments.MomentEnd)
	d.Watch(events()[0]) // of something that was given up, and comes back
	if len(told) != 6 {
		t.Errorf("%+v", told)
	}
	for _, n := range told {
		if n.State != experiments.DeliveryFailed || !strings.Contains(n.Error, "it panicked: ") || strings.Contains(n.Error, planted) {
			t.Errorf("%+v", n)
		}
	}
}

func TestAnOpenIncidentIsTheLastThatNobodyClosed(t *testing.T) {
	on := func(receiver, opened, closed string) experiments.Notification {
		return experiments.Notification{Receiver: receiver, Opened: opened, Closed: closed}
	}
	list := []experiments.Notification{on("a", "x", ""), on("b", "x", ""), on("a", "x", ""), on("b", "", "x"), on("c", "", ""), on("d", "x", "")}
	failed := on("d", "", "x")
	failed.State = experiments.DeliveryFailed
	if open := experiments.OpenIncidents(append(list, failed)); len(open) != 2 || open[0].Receiver != "a" || open[1].Receiver != "d" {
		t.Errorf("%+v", open)
	}
}
