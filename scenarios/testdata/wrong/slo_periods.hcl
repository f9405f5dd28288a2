slo "zone" {
  objective = "99%"
  probe     = probe.door
  calendar {
    period = "month"
    zone   = "Europe/Berln"
  }
}

slo "machine" {
  objective = "99%"
  probe     = probe.door
  calendar {
    period = "week"
    zone   = "Local"
    start  = "2026-01-05 12:00"
  }
}

slo "unit" {
  objective = "99%"
  probe     = probe.door
  calendar {
    period = "fortnight"
  }
}

slo "start-with-zone" {
  objective = "99%"
  probe     = probe.door
  calendar {
    period = "week"
    start  = "2026-01-05T12:00:00Z"
  }
}

slo "both" {
  objective = "99%"
  window    = "30d"
  probe     = probe.door
  calendar {
    period = "month"
  }
}

slo "short" {
  objective = "99%"
  window    = "30s"
  probe     = probe.door
}

slo "twice" {
  objective = "99%"
  probe     = probe.door
  calendar {
    period = "month"
  }
  calendar {
    period = "week"
  }
}

slo "no-unit" {
  objective = "99%"
  probe     = probe.door
  calendar {}
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}
