# Made by gameday import from v1.yaml.
#
# Service example-service: Example service description
# Service example service: Example service description

# Known as: SLO for web availability
# Objective: Good
slo "web-availability" {
  description = "X% of search requests are successful"
  objective   = "99.5%"
  labels = {
    env     = "prod"
    team    = "team-a,team-b"
    service = "web"
  }

  calendar {
    period = "week"
    zone   = "America/New_York"
    start  = "2022-01-01T12:00:00"
  }

  sli "time_slice" {
    good            = "sum(rate(http_requests{k8s_cluster=\"prod\",component=\"web\",code=~\"2xx|4xx\"}[$slice]))"
    total           = "sum(rate(http_requests{k8s_cluster=\"prod\",component=\"web\"}[$slice]))"
    slice_objective = "95%"
    slice           = "1m"
  }
}
