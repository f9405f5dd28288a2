slo {}
probe "http" {}
scenario "a b" {}
scenario "a" "b" {}
variable "1x" {}
locals "x" {}
prometheus = {}
slo "x" {
  objective "99%" {}
  sli = {}
}
