probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }

  fault "toxiproxy_latency" "late" {
    proxy    = "payments"
    latency  = "300ms"
    duration = "10s"
    every    = "20s"
  }
  fault "toxiproxy_latency" "overlapping" {
    proxy    = "payments"
    latency  = "300ms"
    duration = "10s"
    every    = "5s..20s"
    times    = 3
  }
}
