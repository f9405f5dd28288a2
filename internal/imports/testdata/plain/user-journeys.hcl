# Made by gameday import from user-journeys.yaml.
#
# user-journeys.yaml

# A user journey to be finished: give each step its url. It was: User Login
# journey "user-login" {
#   criticality = "high"
#
#   step "Load login page" {
#     url = "https://..."
#   }
#
#   step "Submit credentials" {
#     url = "https://..."
#   }
#
#   step "Receive auth token" {
#     url = "https://..."
#   }
#
#   step "Redirect to dashboard" {
#     url = "https://..."
#   }
# }

# A user journey to be finished: give each step its url. It was: Product Search
# journey "product-search" {
#   criticality = "high"
#
#   step "Enter search query" {
#     url = "https://..."
#   }
#
#   step "Display results" {
#     url = "https://..."
#   }
#
#   step "Filter results" {
#     url = "https://..."
#   }
# }

# A user journey to be finished: give each step its url. It was: Checkout Process
# journey "checkout-process" {
#   criticality = "critical"
#
#   step "Add to cart" {
#     url = "https://..."
#   }
#
#   step "Review cart" {
#     url = "https://..."
#   }
#
#   step "Enter payment" {
#     url = "https://..."
#   }
#
#   step "Complete order" {
#     url = "https://..."
#   }
# }
