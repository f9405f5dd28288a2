# What else can be broken in a cluster, one after the other, each for two seconds: the
# deployment must be complete again afterwards.
#
#   gameday run --var namespace=shop --var workload=deployment/checkout \
#               --var selector=app=checkout --var node=worker-1 cluster.hcl
#
# Verdict: held

variable "kubeconfig" {
  description = "Path of a kubeconfig; empty: $KUBECONFIG, ~/.kube/config, or the pod's account"
  default     = ""
}

variable "namespace" {
  description = "Namespace of the workload"
}

variable "workload" {
  description = "A deployment of at least two replicas"
}

variable "selector" {
  description = "Label selector of its pods"
}

variable "node" {
  description = "A node that takes no new pods for a while"
}

kubernetes {
  kubeconfig = var.kubeconfig
}

probe "kubernetes" "rollout" {
  namespace = var.namespace
  workload  = var.workload
  measure   = "rollout"
  every     = "250ms"
}

probe "kubernetes" "restarts" {
  namespace = var.namespace
  workload  = var.workload
  measure   = "restarts"
}

probe "kubernetes" "wanted" {
  namespace = var.namespace
  object    = var.workload
  json_path = "$.spec.replicas"
  unit      = "replicas"
}

scenario "cluster" {
  description = "The deployment is complete again, whatever its cluster did"
  seed        = 47

  hypothesis "the deployment is complete" {
    probe          = probe.rollout
    during         = false
    recover_within = "60s"
    hold           = "1s"
  }

  hypothesis "nobody leaves it with fewer than two replicas" {
    probe          = probe.wanted
    value_at_least = 2
    during         = false
  }

  hypothesis "no container restarts" {
    probe  = probe.restarts
    during = false
  }

  fault "pod_evict" "evicted" {
    namespace = var.namespace
    selector  = var.selector
    percent   = "30%"
  }

  fault "deployment_scale" "scaled-down" {
    namespace = var.namespace
    workload  = var.workload
    replicas  = 2
    after     = fault.evicted
    at        = "1s"
    duration  = "2s"
  }

  fault "resource_quota" "no-room" {
    namespace = var.namespace
    pods      = 0
    after     = fault.scaled-down
    duration  = "2s"
  }

  fault "network_partition" "cut-off" {
    namespace = var.namespace
    selector  = var.selector
    direction = "ingress"
    after     = fault.no-room
    duration  = "2s"
  }

  fault "node_cordon" "closed-node" {
    node     = var.node
    after    = fault.cut-off
    duration = "2s"
  }

  fault "node_taint" "tainted-node" {
    node     = var.node
    effect   = "NoSchedule"
    after    = fault.closed-node
    duration = "2s"
  }

  fault "rollout_restart" "restarted" {
    namespace = var.namespace
    workload  = var.workload
    after     = fault.tainted-node
  }

  fault "pod_failure" "broken-image" {
    namespace = var.namespace
    selector  = var.selector
    after     = fault.restarted
    at        = "2s"
    duration  = "2s"
  }
}
