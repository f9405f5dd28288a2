# Made by gameday import from service-availability.yaml.

# SLO that reflects SLA for internet provider to be available 99% of time
# Any service with needed metrics
# Fields necessary to query service for the data.
# 'query' is just an example field.
# Any service with needed metrics
# Fields necessary to query service for the data.
# 'query' is just an example field.
# Contracts often are for 1 month time window
# isRolling: Most of contracts starts counting at beginning of month
# alertPolicies: SLO that monitor your SLA should always have some alert policy.
# target: It is good to make bigger objective to react faster
# timeSliceWindow: Rest of the fields should reflect exactly our contract
# Known as: Reflaction of out availability SLA
# SLI: Time when our service was running.
# Budgeting method: Timeslices
# Not carried over: it has nothing to count: gameday asks Prometheus only, and this is "Any"
# slo "service-availability-internal-objective" {
#   description = "SLO to see if we are above our SLA and to react before."
#   objective   = "99.5%"
#   labels = {
#     service = "web-availability"
#   }
#
#   calendar {
#     period = "month"
#     zone   = "America/New_York"
#     start  = "2022-01-01T12:00:00"
#   }
# }

# It is good to have objective exactly as SLA contract says
# Known as: Reflaction of out availability SLA
# SLI: Time when our service was running.
# Budgeting method: Timeslices
# Not carried over: it has nothing to count: gameday asks Prometheus only, and this is "Any"
# slo "service-availability-sla" {
#   description = "SLO to see if we are above our SLA and to react before."
#   objective   = "99%"
#   labels = {
#     service = "web-availability"
#   }
#
#   calendar {
#     period = "month"
#     zone   = "America/New_York"
#     start  = "2022-01-01T12:00:00"
#   }
# }
