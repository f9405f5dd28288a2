slo "nothing" {
  objective = "99%"
}

slo "both" {
  objective = "99%"
  probe     = probe.door
  sli {
    bad   = "bad"
    total = "total"
  }
}

slo "two" {
  objective = "99%"
  sli {
    bad   = "bad"
    total = "total"
  }
  sli {
    bad   = "bad"
    total = "total"
  }
}

slo "labels" {
  objective = "99%"
  sli "events" "named" {
    bad   = "bad"
    total = "total"
  }
}

slo "kind" {
  objective = "99%"
  sli "event" {
    bad   = "bad"
    total = "total"
  }
}

slo "misspelt" {
  objective = "99%"
  slii {
    bad   = "bad"
    total = "total"
  }
}

slo "equals" {
  objective = "99%"
  sli = {
    bad   = "bad"
    total = "total"
  }
}

slo "fast" {
  objective = "99%"
  every     = "10ms"
  probe     = probe.door
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}
