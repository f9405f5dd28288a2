slo "door" {
  objective = "99%"
  probe     = probe.door
  runbook   = "wiki/door"
  labels = {
    "team-name" = "door"
    __name__    = "x"
    tier        = "1"
  }
  depends_on = [slo.window]
  policy     = error_budget_policy.standrad
}

slo "window" {
  objective  = "99%"
  probe      = probe.door
  depends_on = [slo.roof]
}

slo "roof" {
  objective  = "99%"
  probe      = probe.door
  runbook    = "ftp://wiki.example.com/roof"
  depends_on = [slo.window, slo.door]
}

slo "self" {
  objective  = "99%"
  probe      = probe.door
  depends_on = [slo.self]
}

slo "wrong" {
  objective  = "99%"
  probe      = probe.door
  depends_on = slo.door
  policy     = slo.door
  labels     = { tier = 1, owner = ["a"] }
}

slo "more" {
  objective  = "99%"
  probe      = probe.door
  depends_on = [slo.cellar, probe.door]
}

error_budget_policy "standard" {
  band "all" {}
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}
