# The SLOs of home-wifi.yml: an event is a client that is there when the rules are evaluated.
slo "good-wifi-client-satisfaction" {
  description = "Will warn us that we don't have a good wifi at home."
  objective   = "95%"
  labels      = { cluster = "valhalla", component = "ubiquiti", context = "home" }

  sli {
    bad   = "sum_over_time((count(unifipoller_client_satisfaction_ratio < 0.75))[$window:]) OR on() vector(0)"
    total = "sum_over_time((count(unifipoller_client_satisfaction_ratio))[$window:])"
  }
}

slo "risk-wifi-client-satisfaction" {
  description = "Will warn us that we something very bad is happenning with our home wifi."
  objective   = "99.9%"
  labels      = { cluster = "valhalla", component = "ubiquiti", context = "home" }

  sli {
    bad   = "sum_over_time((count(unifipoller_client_satisfaction_ratio < 0.5))[$window:]) OR on() vector(0)"
    total = "sum_over_time((count(unifipoller_client_satisfaction_ratio))[$window:])"
  }
}
