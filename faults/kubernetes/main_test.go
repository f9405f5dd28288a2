package kubernetes

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
)

func TestMain(m *testing.M) { os.Exit(clustertest.Main(m.Run)) }

const testRun = "20260102-030405-safety-0001"

func drawFor(fault string) experiments.Draw {
	return experiments.Draw{Run: testRun, Fault: fault, Round: 1, Uniform: rand.New(rand.NewPCG(7, 1)).Float64}
}

// planned plans a fault, and gives each hit the name that the runner would.
func planFor(t *testing.T, f experiments.Fault) []experiments.Hit {
	t.Helper()
	hits, err := f.Plan(t.Context(), drawFor("it"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range hits {
		hits[i].Fault, hits[i].Round, hits[i].ID = "it", 1, fmt.Sprintf("it/1/%s", hits[i].Target)
	}
	return hits
}

// refuses wants an error of the plan with these words.
func refuses(t *testing.T, f experiments.Fault, pattern string) {
	t.Helper()
	hits, err := f.Plan(t.Context(), drawFor("it"))
	if err == nil {
		t.Fatalf("%d hits were planned, want an error like %q", len(hits), pattern)
	}
	if !regexp.MustCompile(pattern).MatchString(err.Error()) {
		t.Fatalf("%v\nwant %q", err, pattern)
	}
}
