# Made by gameday import from several.yaml.

# The page alert was disabled
# The ticket alert was disabled
slo "http-availability" {
  objective = "99.99%"
  window    = "30d"
  owner     = "myteam"
  labels = {
    service = "myapp"
    owner   = "myteam"
  }

  sli {
    bad   = <<EOT
sum(
  rate(http_request_duration_seconds_count{job="myapp", code=~"(5..|429)"}[$window])
)
EOT
    total = <<EOT
sum(
  rate(http_request_duration_seconds_count{job="myapp"}[$window])
)
EOT
  }
}

slo "cpu-availability" {
  objective = "99.99%"
  window    = "30d"
  owner     = "myteam"
  runbook   = "https://github.com/kubernetes-monitoring/kubernetes-mixin/tree/master/runbook.md"
  labels = {
    service = "myapp"
    owner   = "myteam"
  }

  sli {
    bad   = "sum(rate(node_cpu_seconds_total{mode=\"softirq\"}[$window]))"
    total = "sum(rate(node_cpu_seconds_total[$window]))"
  }
}

# Not carried over: it has nothing to count: its queries are made by Sloth's plugin
# "getting_started_availability"
# slo "otherapp-http-availability" {
#   objective = "90%"
#   window    = "30d"
#   owner     = "otherteam"
#   labels = {
#     tier    = "3"
#     owner   = "otherteam"
#     service = "otherapp"
#   }
# }

# recorded ratio
slo "recorded-ratio" {
  objective = "99%"
  window    = "30d"
  owner     = "otherteam"
  labels = {
    service = "otherapp"
    owner   = "otherteam"
    tier    = "1"
  }

  sli {
    bad   = "sum_over_time((otherapp:error_ratio)[$window:5m])"
    total = "count_over_time((otherapp:error_ratio)[$window:5m])"
  }
}
