# Made by gameday import from datadog.yaml.

# Known as: Test SLO
# SLI: Foo Error
# Budgeting method: Occurrences
# Not carried over: it has nothing to count: gameday asks Prometheus only, and this is "Datadog"
# slo "test-slo-foo-total-errors" {
#   description = "This is a great description"
#   objective   = "98%"
#   window      = "30d"
#   labels = {
#     service = "TheServiceName"
#   }
# }

# Known as: Test SLO
# Budgeting method: Occurrences
# Not carried over: it has nothing to count: there is no SLI "nowhere" in the files that are given
# slo "test-slo-bar-total-errors" {
#   description = "This is a great description"
#   objective   = "99%"
#   window      = "30d"
#   labels = {
#     service = "TheServiceName"
#   }
# }
