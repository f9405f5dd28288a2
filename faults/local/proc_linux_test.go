package local

import (
	"slices"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	rest := " S 10 20 30 34816 20 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 5"
	for _, test := range []struct {
		name, text string
		want       process
		failure    string
	}{
		{"a plain name", "42 (shop)" + rest, process{pid: 42, parent: 10, session: 30, state: 'S', start: 98765, name: "shop"}, ""},
		{"a name that looks like the rest", "42 (a) R 1 (b c)" + rest, process{pid: 42, parent: 10, session: 30, state: 'S', start: 98765, name: "a) R 1 (b c"}, ""},
		{"a kernel thread", strings.Replace("42 (kworker/0:1)"+rest, "4194560", "2129984", 1), process{pid: 42, parent: 10, session: 30, state: 'S', start: 98765, kernel: true, name: "kworker/0:1"}, ""},
		{"no name", "42 shop" + rest, process{}, "no name in parentheses"},
		{"cut short", "42 (shop) S 10 20", process{}, "20 are needed"},
		{"no number where one belongs", strings.Replace("42 (shop)"+rest, "98765", "soon", 1), process{}, `"soon"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStat([]byte(test.text))
			if test.failure != "" {
				wantError(t, err, test.failure)
				return
			}
			if err != nil || got != test.want {
				t.Errorf("read %+v (%v), want %+v", got, err, test.want)
			}
		})
	}
}

func TestListeningSockets(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0000000000000000 20 4 30 10 -1
   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 333 1 0000000000000000 100 0 0 10 0
   3: 0100007F:0050 0100007F:1F90 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0000000000000000 100 0 0 10 0
`
	if got := listeningSockets(table, 8080); !slices.Equal(got, []string{"111", "333"}) {
		t.Errorf("sockets %v listen on 8080, want 111 and 333", got)
	}
	if got := listeningSockets(table, 8081); len(got) != 0 {
		t.Errorf("sockets %v listen on 8081, want none", got)
	}
}
