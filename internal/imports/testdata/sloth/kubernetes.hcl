# Made by gameday import from kubernetes.yaml.
#
# PrometheusServiceLevel sloth-slo-my-service-with-slo-plugins

# Alert: MyServiceHighErrorRate
# Alert's summary: High error rate on 'myservice' requests responses
# The page alert had severity = "pageteam", routing_key = "myteam"
# The ticket alert was disabled
slo "requests-availability" {
  description = "Common SLO based on availability for HTTP request responses."
  objective   = "99.9%"
  window      = "30d"
  owner       = "myteam"
  labels = {
    category = "availability"
    service  = "myservice"
    owner    = "myteam"
    repo     = "myorg/myservice"
    tier     = "2"
  }

  sli {
    bad   = "sum(rate(http_request_duration_seconds_count{job=\"myservice\",code=~\"(5..|429)\"}[$window]))"
    total = "sum(rate(http_request_duration_seconds_count{job=\"myservice\"}[$window]))"
  }
}
