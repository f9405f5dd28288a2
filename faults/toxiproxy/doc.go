// Package toxiproxy breaks TCP connections that pass through a toxiproxy server
// (https://github.com/Shopify/toxiproxy), one of the scenario's own or one that is
// built in.
//
//	service --> proxy "payments" --> upstream
//	                 |
//	              toxics: latency, bandwidth, ...
//
// [Toxiproxy] is the connection to a server. Each fault kind has a file of its own
// that says what its toxic is; [Toxic] does the rest for all of them: it finds the
// proxies, adds the toxic, reads it back and takes it off again.
//
// What the package holds to, because toxiproxy 2.12.0 needs it:
//
//   - A toxic has no end of its own and outlives the client that added it. Each
//     bears the name of its run, so that a fresh process can find it and another run
//     can tell that it is not alone.
//   - POST /reset is never called: it takes off everybody's toxics, and stops at the
//     first proxy that cannot start.
//   - A toxic is never changed in place, which races with the data that passes.
//   - Every call has a short deadline. Taking a toxic off waits for each open
//     connection and may wait forever when a client hangs up meanwhile
//     (https://github.com/Shopify/toxiproxy/issues/558); replace.go says what is
//     done then.
package toxiproxy
