package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// small is a small scenario as people write them.
const small = `
variable "latency%[1]d" { default = "300ms" }

locals { host%[1]d = "127.0.0.1" }

slo "checkout%[1]d" {
  objective = "99.9%%"
  sli {
    bad   = "sum(rate(http_requests_total{code=~\"5..\"}[$window]))"
    total = "sum(rate(http_requests_total[$window]))"
  }
}

probe "http" "door%[1]d" {
  url   = "http://${local.host%[1]d}:8080/"
  every = "250ms"
}

scenario "slow-%[1]d" {
  hypothesis "checkout stays available" {
    slo      = slo.checkout%[1]d
    at_least = "99.5%%"
  }
  hypothesis "the door answers fast" {
    probe       = probe.door%[1]d
    p95_at_most = "500ms"
  }
  fault "toxiproxy_latency" "late" {
    proxy    = "payments"
    latency  = var.latency%[1]d
    duration = "2m"
  }
  fault "pod_kill" "kill" {
    selector = "app=checkout"
    after    = fault.late
  }
  guard "burn_rate" "page" { slo = slo.checkout%[1]d }
}
`

// thousand writes a thousand files and returns their directory and paths.
func thousand(b *testing.B) (dir string, paths []string) {
	b.Helper()
	dir = b.TempDir()
	for i := range 1000 {
		path := filepath.Join(dir, fmt.Sprintf("s%d.hcl", i))
		if err := os.WriteFile(path, fmt.Appendf(nil, small, i), 0o600); err != nil {
			b.Fatal(err)
		}
		paths = append(paths, path)
	}
	return dir, paths
}

// BenchmarkValidate1000Files checks a thousand files: each as a configuration of
// its own, and all as one directory.
func BenchmarkValidate1000Files(b *testing.B) {
	dir, paths := thousand(b)
	language, _ := testLanguage()
	validate := func(b *testing.B, paths []string) {
		for b.Loop() {
			for _, path := range paths {
				if _, diags := language.Load(path, Options{}); diags.HasErrors() {
					b.Fatal(diags.Error())
				}
			}
		}
	}
	b.Run("each", func(b *testing.B) { validate(b, paths) })
	b.Run("directory", func(b *testing.B) { validate(b, []string{dir}) })
}

// BenchmarkScanLargestFile measures the scan that every file passes before the
// parser sees it.
func BenchmarkScanLargestFile(b *testing.B) {
	text := []byte(strings.Repeat(fmt.Sprintf(small, 1), maxSize/len(small)))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if tooDeep(text) >= 0 {
			b.Fatal("an ordinary file is too deep")
		}
	}
}
