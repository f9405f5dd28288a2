package probes

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
	"github.com/gameday-sh/gameday/internal/tlsconfig/tlstest"
)

func newGRPC(t testing.TB, address string) *GRPC {
	t.Helper()
	probe := withDefaults(t, &GRPC{Address: address})
	closeAfter(t, probe)
	return probe
}

// startGRPC starts a gRPC server; stopping it twice is harmless.
func startGRPC(t testing.TB, address string, services func(*grpc.Server), options ...grpc.ServerOption) (string, *grpc.Server) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	services(server)
	var served sync.WaitGroup
	served.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() { server.Stop(); served.Wait() })
	return listener.Addr().String(), server
}

func healthServices(server *grpc.Server) {
	health := grpchealth.NewServer()
	health.SetServingStatus("checkout", healthpb.HealthCheckResponse_SERVING)
	health.SetServingStatus("payments", healthpb.HealthCheckResponse_NOT_SERVING)
	health.SetServingStatus("unknown", healthpb.HealthCheckResponse_UNKNOWN)
	healthpb.RegisterHealthServer(server, health)
}

func TestGRPCJudgesTheHealth(t *testing.T) {
	address, _ := startGRPC(t, "127.0.0.1:0", healthServices)
	bare, _ := startGRPC(t, "127.0.0.1:0", func(*grpc.Server) {})
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.Protocols = new(http.Protocols)
	web.Config.Protocols.SetUnencryptedHTTP2(true)
	web.Start()
	t.Cleanup(web.Close)
	for _, test := range []struct {
		name, address, service string
		timeout                time.Duration
		want                   expect
	}{
		{"a server that serves is good", address, "", patience, expect{good: true}},
		{"a service that serves is good", address, "checkout", patience, expect{good: true}},
		{"a service that does not serve is bad", address, "payments", patience, expect{why: "NOT_SERVING"}},
		{"a service in an unknown state is bad", address, "unknown", patience, expect{why: "UNKNOWN"}},
		{"a service nobody knows is bad", address, "missing", patience, expect{why: "NOT_FOUND: unknown service"}},
		{"a server without health service is bad", bare, "", patience, expect{why: "UNIMPLEMENTED: unknown service grpc.health.v1.Health"}},
		{"a web server is bad", web.Listener.Addr().String(), "", patience, expect{why: "not a gRPC server: HTTP 404"}},
		{"a server that hangs is bad when time is up", serve(t, hang), "", 100 * time.Millisecond, expect{why: "no answer within "}},
		{"a connection that is reset is bad", serve(t, reset), "", patience, expect{why: "connection "}},
		{"an address where nothing listens is bad", deadAddress(t), "", patience, expect{why: "connection refused"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := newGRPC(t, test.address)
			probe.Service = test.service
			checkProblems(t, probe, nil)
			for range 2 {
				test.want.check(t, measure(t, probe, test.timeout))
			}
		})
	}
}

func TestGRPCSendsWhatAServerNeeds(t *testing.T) {
	type call struct {
		metadata metadata.MD
		deadline time.Duration
	}
	seen := make(chan call, 1)
	guard := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		deadline, _ := ctx.Deadline()
		seen <- call{md, time.Until(deadline)}
		if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer t" {
			return nil, status.Error(codes.Unauthenticated, "kein Schlüssel\n100%")
		}
		return handler(ctx, request)
	}
	address, _ := startGRPC(t, "127.0.0.1:0", healthServices, grpc.UnaryInterceptor(guard))

	stranger := newGRPC(t, address)
	expect{why: "UNAUTHENTICATED: kein Schlüssel 100%"}.check(t, measure(t, stranger, patience))
	<-seen

	probe := newGRPC(t, address)
	probe.Authority = "checkout.shop"
	probe.Metadata = map[string]experiments.Secret{"Authorization": experiments.NewSecret("Bearer t"), "trace-bin": experiments.NewSecret("\x00\xff")}
	expect{good: true}.check(t, measure(t, probe, patience))
	got := <-seen
	if authority := got.metadata.Get(":authority"); len(authority) != 1 || authority[0] != "checkout.shop" {
		t.Errorf(":authority = %q", authority)
	}
	if binary := got.metadata.Get("trace-bin"); len(binary) != 1 || binary[0] != "\x00\xff" {
		t.Errorf("trace-bin = %q", binary)
	}
	if got.deadline <= 0 || got.deadline > patience {
		t.Errorf("the server was given %v, want up to %v", got.deadline, patience)
	}
}

func TestGRPCOverTLS(t *testing.T) {
	authority := tlstest.New(t)
	address, _ := startGRPC(t, "127.0.0.1:0", healthServices, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{authority.Server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.Pool,
	})))
	for _, test := range []struct {
		name string
		tls  *tlsconfig.Block
		want expect
	}{
		{"a client certificate is shown", &tlsconfig.Block{CAFile: authority.CAFile, CertFile: authority.CertFile, KeyFile: authority.KeyFile}, expect{good: true}},
		{"an authority that is not trusted is bad", &tlsconfig.Block{}, expect{why: "unknown authority"}},
		{"plaintext is bad", nil, expect{why: "connection "}},
		{"a file that is missing is our own failure", &tlsconfig.Block{CAFile: "missing.pem"}, expect{condition: experiments.Broken, why: "missing.pem"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			probe := newGRPC(t, address)
			probe.TLS = test.tls
			test.want.check(t, measure(t, probe, patience))
		})
	}
}

func TestGRPCComesBackAtOnceWithItsServer(t *testing.T) {
	address, server := startGRPC(t, "127.0.0.1:0", healthServices)
	probe := newGRPC(t, address)
	expect{good: true}.check(t, measure(t, probe, patience))
	server.GracefulStop()
	expect{why: "connection refused"}.check(t, measure(t, probe, patience))
	startGRPC(t, address, healthServices)
	expect{good: true}.check(t, measure(t, probe, patience))
}

func TestGRPCKeepsItsConnectionAndLeavesOneThatWentSilent(t *testing.T) {
	address, _ := startGRPC(t, "127.0.0.1:0", healthServices)
	wire := newCut(t, address)
	probe := newGRPC(t, wire.address)
	for range 3 {
		expect{good: true}.check(t, measure(t, probe, patience))
	}
	if wire.connections() != 1 {
		t.Fatalf("%d connections before the cut, want 1", wire.connections())
	}
	wire.goSilent()
	expect{why: "no answer within "}.check(t, measure(t, probe, 200*time.Millisecond))
	expect{good: true}.check(t, measure(t, probe, patience))
	if wire.connections() != 2 {
		t.Errorf("%d connections in all, want 2", wire.connections())
	}
}

func TestGRPCTellsTheEndOfTheRunFromATimeout(t *testing.T) {
	begun := make(chan struct{}, 1)
	probe := newGRPC(t, serve(t, func(conn *net.TCPConn) { begun <- struct{}{}; hang(conn) }))
	expect{condition: experiments.Broken, why: "cancelled"}.check(t, cancelSoon(t, probe, begun))
}

func TestGRPCRefusesAnswersThatAreNone(t *testing.T) {
	for _, test := range []struct {
		name string
		body string
		want health
		bad  bool
	}{
		{"the default is left out on the wire", "\x00\x00\x00\x00\x00", healthUnknown, false},
		{"serving", "\x00\x00\x00\x00\x02\x08\x01", healthServing, false},
		{"fields that are not known are passed over", "\x00\x00\x00\x00\x05\x12\x01x\x08\x01", healthServing, false},
		{"nothing", "", 0, true},
		{"a message that is cut off", "\x00\x00\x00\x00\x02\x08", 0, true},
		{"a compressed message", "\x01\x00\x00\x00\x02\x08\x01", 0, true},
		{"a length beyond everything", "\x00\xff\xff\xff\xff\x08\x01", 0, true},
		{"a field without its value", "\x00\x00\x00\x00\x01\x08", 0, true},
		{"no field at all", "\x00\x00\x00\x00\x01\xff", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseHealth([]byte(test.body))
			if (err != nil) != test.bad || got != test.want {
				t.Errorf("parseHealth = %v, %v; want %v, an error: %v", got, err, test.want, test.bad)
			}
		})
	}
	if got := health(9).String(); got != "serving status 9" {
		t.Errorf("an unknown status is %q", got)
	}
	for _, test := range [][3]string{{"", "", "the answer ended without a status"}, {"14", "%E2%82%AC", "UNAVAILABLE: €"}, {"99", "", "gRPC status 99"}, {"14", "50%", "UNAVAILABLE: 50%"}} {
		if got := newGRPCError(test[0], test[1]).Error(); got != test[2] {
			t.Errorf("status %q, message %q: %q, want %q", test[0], test[1], got, test[2])
		}
	}
}

func TestGRPCValidates(t *testing.T) {
	secret := experiments.NewSecret("x")
	for _, test := range []struct {
		name  string
		probe *GRPC
		want  []problem
	}{
		{"a whole probe is fine", &GRPC{Address: "db:1", Authority: "a.b:443", Metadata: map[string]experiments.Secret{"x-y": secret, "z-bin": experiments.NewSecret("\n")}}, nil},
		{"every problem at once", &GRPC{Address: "db", Authority: "a b", Metadata: map[string]experiments.Secret{
			"a b": secret, "grpc-timeout": secret, "x": experiments.NewSecret("\n"),
		}}, []problem{{"address", "write host and port"}, {"authority", "not a host name"}, {"metadata", `"a b"`}, {"metadata", "belongs to gRPC"}, {"metadata", "end the name in -bin"}}},
	} {
		t.Run(test.name, func(t *testing.T) { checkProblems(t, test.probe, test.want) })
	}
}
