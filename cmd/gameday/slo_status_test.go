package main

import (
	"testing"

	"github.com/gameday-sh/gameday/internal/promtest"
)

func TestSLOStatus(t *testing.T) {
	path := shopSLOs(t, promtest.Start(t, shopMonth()))
	for _, args := range [][]string{{}, {"--slo", "checkout"}, {"--slo", "payments"}, {"--slo", "mail", "--slo", "search"}, {"--json", "--slo", "mail"}} {
		code, out, errs := typed(t, append([]string{"slo", "status", path, atFriday, "--color=always"}, args...)...)
		t.Logf("%v: %d\n%s%s", args, code, out, errs)
	}
}
