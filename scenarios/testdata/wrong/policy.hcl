error_budget_policy "no-bands" {
}

error_budget_policy "no-lowest" {
  band "green" {
    at_least = "50%"
  }
}

error_budget_policy "two-lowest" {
  band "red" {}
  band "black" {}
}

error_budget_policy "places" {
  band "green" {
    at_least = "50%"
    allows   = ["game day", "deploy"]
  }
  band "lime" {
    at_least = "50%"
    allows   = [""]
  }
  band "green" {
    at_least = "20%"
  }
  band "red" {}
}

error_budget_policy "unknown" {
  band "red" {}
  band "unknown" {
    at_least = "10%"
  }
  band "unknown" {
    allows = ["deploy"]
  }
}

error_budget_policy "numbers" {
  reserve = "110%"
  band "green" {
    at_least = 0.5
  }
  band "red" {}
  alert {
    below    = "-5%"
    severity = "warning"
  }
  alert {
    below = "25%"
  }
  alert {
    below    = "5%"
    severity = ""
  }
}

error_budget_policy "labels" {
  band {
    at_least = "50%"
  }
  band "green" "deep" {
    at_least = "10%"
  }
  band "red" {
    allow = ["deploy"]
  }
  alrt {
    below    = "5%"
    severity = "warning"
  }
}

error_budget_policy "labels" {
  band "red" {}
}

error_budget_policy {
  band "red" {}
}
