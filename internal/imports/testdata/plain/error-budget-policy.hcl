# Made by gameday import from error-budget-policy.yaml.

# error-budget-policy.yaml
# Written for service api-service, target 99.9%, window 30d
error_budget_policy "api-service" {
  band "green" {
    at_least = "50%"
    allows   = ["game-day", "deploy", "experimental-feature"]
    actions = [
      "Normal feature development",
      "2 deployments per day allowed",
      "Experimental features permitted",
    ]
  }

  band "yellow" {
    at_least = "10%"
    allows   = ["game-day", "deploy"]
    actions = [
      "Increased caution on deployments",
      "1 deployment per day allowed",
      "Require staging validation",
      "No experimental features",
    ]
  }

  band "red" {
    allows = []
    actions = [
      "Feature freeze",
      "Emergency fixes only",
      "Focus on reliability improvements",
      "Incident review required",
      "Rollback recent changes",
    ]
  }

  alert {
    below    = "25%"
    severity = "warning"
    notify   = "slack"
  }

  alert {
    below    = "10%"
    severity = "critical"
    notify   = "pagerduty"
  }
}
