probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }

  fault "toxiproxy_latency" "late" {
    proxy   = "payments"
    latency = "300ms"
  }
  fault "pod_kill" "kill" {
    selector = "app=checkout"
    duration = "10s"
  }
  fault "pod_kill" "kills" {
    selector = "app=checkout"
    every    = "10s"
  }
  fault "pod_kill" "twice" {
    selector = "app=checkout"
    times    = 2
  }
}
