package sandbox

import (
	"errors"
	"net"
	"net/http"
	"testing"

	toxiserver "github.com/Shopify/toxiproxy/v2"
	client "github.com/Shopify/toxiproxy/v2/client"
	"github.com/rs/zerolog"

	"github.com/gameday-sh/gameday/faults/toxiproxy"
)

// startToxiproxy runs a toxiproxy server that is not the sandbox's own, and
// returns an open connection and toxiproxy's client to it.
func startToxiproxy(t *testing.T) (*toxiproxy.Toxiproxy, *client.Client) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	api := toxiserver.NewServer(toxiserver.NewMetricsContainer(nil), zerolog.Nop())
	web := &http.Server{Handler: api.Routes()}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	connection := &toxiproxy.Toxiproxy{URL: "http://" + listener.Addr().String()}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
		if err := web.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if err := api.Collection.Clear(); err != nil {
			t.Error(err)
		}
	})
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return connection, client.NewClient(connection.URL)
}
