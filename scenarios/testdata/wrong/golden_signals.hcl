golden_signals "checkout" {
  errors         = "code=~\"5..\""
  traffic_keeps  = "150%"
  recover_within = "2s"
  every          = "10ms"
  latncy         = "1s"
}

golden_signals "payments" {
  requests       = "http_requests_total"
  traffic_keeps  = "0%"
  window         = "10s"
  recover_within = "10s"
}

golden_signals "stock" {
  requests       = "http_requests_total"
  errors_at_most = "1%"
  hold           = "2m"
}

golden_signals "stock" {
  requests = "http_requests_total"
}

golden_signals "cart" {
  requests = "http_requests_total"
}

slo "front" {
  objective = "99%"
  probe     = golden_signals.cart.traffic
}

scenario "watched" {
  watch = [golden_signals.cart, golden_signals.payments, golden_signals.cart]

  hypothesis "cart: traffic keeps 50% of the baseline" {
    probe         = golden_signals.cart.traffic
    value_at_most = 1
  }

  hypothesis "errors of the cart" {
    probe         = golden_signals.cart.errors
    value_at_most = 1
  }

  hypothesis "latency of the cart" {
    probe         = golden_signals.cart.latncy
    value_at_most = 1
  }

  hypothesis "traffic of the card" {
    probe         = golden_signals.card.traffic
    value_at_most = 1
  }

  hypothesis "too deep" {
    probe         = golden_signals.cart.traffic.rate
    value_at_most = 1
  }

  hypothesis "all of the traffic" {
    probe       = golden_signals.cart.traffic
    value_keeps = "100%"
  }

  hypothesis "traffic is good" {
    probe = golden_signals.cart.traffic
  }

  fault "pod_kill" "lose-one" {
    selector = "app=shop"
  }

  guard "golden_signals" "cart" {
    signals = golden_signals.cart.traffic
  }

  guard "probe_fails" "all of it" {
    probe = golden_signals.cart
  }
}

scenario "not-in-brackets" {
  watch = golden_signals.cart

  fault "pod_kill" "lose-one" {
    selector = "app=shop"
  }
}
