probe "http" "door" {
  url     = "http://127.0.0.1/"
  every   = 30
  timeout = "2 minutes"
}

probe "http" "hasty" {
  url     = "http://127.0.0.1/"
  every   = "1ms"
  timeout = "1h"
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }
  hypothesis "it answers fast" { probe = probe.hasty }

  fault "pod_kill" "kill" {
    selector = "app=checkout"
    every    = "2m..1m"
    times    = 2
  }
}
