# The four golden signals of a service. The payment provider is cut off from the shop,
# and what it measures itself stays perfect: no slow answer, no error. Only its traffic
# tells, and the guard stops the run.
#
# Verdict: aborted

sandbox "shop" {}

prometheus {
  scrape_interval = "250ms"
}

scrape "shop" {
  url   = sandbox.shop.metrics_url
  every = "250ms"
}

golden_signals "front_door" {
  requests           = "http_requests_total{service=\"front-door\"}"
  errors             = "code=~\"5..\""
  duration           = "http_request_duration_seconds{service=\"front-door\"}"
  saturation         = "http_request_slots_in_use{service=\"front-door\"} / http_request_slots{service=\"front-door\"}"
  window             = "4s"
  every              = "250ms"
  latency_percentile = "99%"
  latency_at_most    = "1s"
  traffic_at_least   = 50
  saturation_at_most = "70%"
  during             = false
}

golden_signals "payments" {
  requests        = "http_requests_total{service=\"payments\"}"
  errors          = "code=~\"5..\""
  duration        = "http_request_duration_seconds{service=\"payments\"}"
  window          = "4s"
  every           = "250ms"
  latency_at_most = "250ms"
  errors_at_most  = "2%"
  traffic_keeps   = "50%"
}

scenario "payments-cut-off" {
  description = "Payments are still asked while the network between is bad"
  seed        = 29
  watch       = [golden_signals.front_door, golden_signals.payments]

  hypothesis "the front door never fails half of its requests" {
    probe         = golden_signals.front_door.errors
    value_at_most = 0.5
  }

  fault "toxiproxy_down" "cut" {
    proxy    = sandbox.shop.payments_proxy
    duration = "1m"
  }

  guard "golden_signals" "payments-are-asked" {
    signals = golden_signals.payments
    for     = "5s"
  }
}
