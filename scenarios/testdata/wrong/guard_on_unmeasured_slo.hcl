slo "checkout" {
  objective = "99%"
}

slo "payments" {
  objective = "99%"
  sli {}
}

slo "search" {
  objective = "99%"
  sli {
    bad   = "a"
    total = "b"
  }
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }

  guard "burn_rate" "page" { slo = slo.checkout }
  guard "budget" "allowance" { slo = slo.payments }
  guard "burn_rate" "hasty" {
    slo     = slo.search
    windows = ["1m", "2s"]
  }
}
