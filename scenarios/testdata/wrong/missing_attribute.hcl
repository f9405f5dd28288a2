scenario "s" {
  hypothesis "it answers" { probe = probe.door }

  fault "toxiproxy_latency" "late" {
    latency  = null
    duration = "10s"
  }
}

probe "http" "door" {}
