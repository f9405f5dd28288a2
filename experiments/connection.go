package experiments

import "context"

// A Connection is a system that probes, SLOs and faults reach, or one that the
// runner starts for them: a Prometheus server, a toxiproxy, the sandbox. A
// scenario declares it in a block of its own kind, with a name or without.
type Connection interface {
	// Open makes it usable: it starts what is built in, and checks nothing that needs
	// no connection. It may be called again after Close.
	Open(ctx context.Context) error
	// Close stops what Open started.
	Close() error
}

// An Exporter is a connection with values that scenarios may refer to:
// sandbox.shop.url.
type Exporter interface {
	Connection
	// Exports names the values; it needs no Open.
	Exports() []string
	// Export gives a value; it is known after Open.
	Export(name string) string
}
