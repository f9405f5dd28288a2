package main

import (
	"path/filepath"
	"testing"
	"os"

	"github.com/gameday-sh/gameday/internal/promtest"
)

func TestSLOReport(t *testing.T) {
	path := shopSLOs(t, promtest.Start(t, shopMonth()))
	code, out, errs := typed(t, "slo", "report", path, atFriday)
	t.Logf("%d\n%s%s", code, out, errs)
	html := filepath.Join(os.Getenv("OUTDIR"), "b.html")
	code, out, errs = typed(t, "slo", "report", path, atFriday, "--out", html)
	t.Logf("%d\n%s%s", code, out, errs)
}
