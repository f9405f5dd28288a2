locals {
  a = "${local.b}x"
  b = local.c
  c = prometheus.one.url
  d = upper(local.d)
}

prometheus "one" { url = local.a }
