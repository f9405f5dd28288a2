slo "checkout" {
  objective = "99%"
  probe     = probe.door
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  hypothesis "two limits" {
    probe       = probe.door
    at_least    = "99%"
    p95_at_most = "500ms"
  }
  hypothesis "two series" {
    probe = probe.door
    slo   = slo.checkout
  }
  hypothesis "no series" {}
  hypothesis "a quantile of events" {
    slo         = slo.checkout
    p95_at_most = "500ms"
  }
  hypothesis "out of range" {
    probe          = probe.door
    p99_at_most    = "0s"
    confidence     = "100%"
    min_samples    = 0
    recover_within = "1s"
    hold           = "2s"
  }
}

scenario "empty" {}
