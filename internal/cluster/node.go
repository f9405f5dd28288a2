package cluster

// realNode is the name of the one real node.
const realNode = "node1"
