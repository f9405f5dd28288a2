package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// server is one HTTP service on loopback.
type server struct {
	name        string
	address     string // "127.0.0.1:1234"
	http        *http.Server
	served      chan error
	connections sync.WaitGroup
}

// serve starts a service; port 0 takes a free one.
func serve(ctx context.Context, name string, port int, handler http.Handler) (*server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("the sandbox's %s cannot listen: %w; choose another port, or leave port out to get a free one", name, err)
	}
	s := &server{name: name, address: listener.Addr().String(), served: make(chan error, 1)}
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		// Connections that faults break are what the sandbox is for, and no news.
		ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.connections.Add(1)
			case http.StateClosed, http.StateHijacked:
				s.connections.Done()
			}
		},
	}
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

func (s *server) url() string { return "http://" + s.address }

// stop lets requests finish for as long as grace, then closes their connections,
// and returns when the last one is gone.
func (s *server) stop(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if ended := <-s.served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	s.connections.Wait()
	if err != nil {
		return fmt.Errorf("stopping the sandbox's %s: %w", s.name, err)
	}
	return nil
}
