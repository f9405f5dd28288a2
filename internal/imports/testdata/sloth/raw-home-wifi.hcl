# Made by gameday import from raw-home-wifi.yaml.
#
# `sloth generate -i ./examples/raw-home-wifi.yml`

# Get the averate satisfaction ratio and rest 1 (max good) to get the error ratio.
# Alert: WifiClientSatisfaction
# The page alert had severity = "home"
# The ticket alert had severity = "warning"
slo "wifi-client-satisfaction" {
  description = "Warn us that we have an average wifi connection satisfaction."
  objective   = "95%"
  window      = "30d"
  labels = {
    service   = "home-wifi"
    cluster   = "valhalla"
    component = "ubiquiti"
    context   = "home"
  }

  sli {
    good  = "sum(sum_over_time(unifipoller_client_satisfaction_ratio[$window]))"
    total = "sum(count_over_time(unifipoller_client_satisfaction_ratio[$window]))"
  }
}
