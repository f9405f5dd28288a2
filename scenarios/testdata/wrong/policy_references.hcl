slo "door" {
  objective = "99%"
  probe     = probe.door
  policy    = error_budget_policy.standard.reserve
}

error_budget_policy "standard" {
  reserve = slo.door
  band "red" {}
}

probe "http" "door" {
  url = error_budget_policy.standard
}

locals {
  policy = error_budget_policy.standard
}

scenario "s" {
  policy = slo.door
  hypothesis "door" {
    slo = error_budget_policy.standard
  }
}

scenario "t" {
  policy = "standard"
  hypothesis "door" {
    slo = slo.door
  }
}
