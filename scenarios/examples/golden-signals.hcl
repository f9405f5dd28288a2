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

golden_signals "payments" {
  requests        = "http_requests_total{service=\"payments\"}"
  errors          = "code=~\"5..\""
  duration        = "http_request_duration_seconds{service=\"payments\"}"
  window          = "2s"
  every           = "250ms"
  latency_at_most = "250ms"
  errors_at_most  = "2%"
  traffic_keeps   = "50%"
}

golden_signals "front_door" {
  requests           = "http_requests_total{service=\"front-door\"}"
  errors             = "code=~\"5..\""
  duration           = "http_request_duration_seconds{service=\"front-door\"}"
  saturation         = "http_request_slots_in_use{service=\"front-door\"} / http_request_slots{service=\"front-door\"}"
  window             = "2s"
  every              = "250ms"
  latency_percentile = "99%"
  latency_at_most    = "1s"
  traffic_at_least   = 50
  saturation_at_most = "70%"
  during             = false
}

scenario "payments-cut-off" {
  description = "Payments are asked less, but not given up, while the network between is bad"
  seed        = 29
  watch       = [golden_signals.payments, golden_signals.front_door]

  hypothesis "the front door fails no request of a quiet shop" {
    probe         = golden_signals.front_door.errors
    value_at_most = 0.05
    during        = false
  }

  fault "toxiproxy_down" "cut" {
    proxy    = sandbox.shop.payments_proxy
    duration = "1m"
  }

  guard "golden_signals" "payments-are-asked" {
    signals = golden_signals.payments
    for     = "3s"
  }
}
