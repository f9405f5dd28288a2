# Made by gameday import from getting-started.yaml.

# We allow failing (5xx and 429) 1 request every 1000 requests (99.9%).
# Overwrite default Sloth SLO alert summmary on ticket and page alerts.
# Alert: MyServiceHighErrorRate
# Alert's summary: High error rate on 'myservice' requests responses
# The page alert had severity = "pageteam", routing_key = "myteam"
# The ticket alert had severity = "slack", slack_channel = "#alerts-myteam"
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
