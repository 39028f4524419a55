package rewrite

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Types of endpoint (KIP-919).
const (
	endpointBrokers     = 1
	endpointControllers = 2
)

// DescribeCluster (60) is answered from what the pool last said of itself. 1:
// endpoint type; 2: fenced brokers (KIP-1073), of which none are known here.
func describeCluster(x *Exchange, req *kmsg.DescribeClusterRequest) (outcome[*kmsg.DescribeClusterResponse], error) {
	resp := kmsg.NewPtrDescribeClusterResponse()
	switch {
	case req.EndpointType == endpointControllers:
		resp.ErrorCode = codeWrongEndpoint
	case req.EndpointType != endpointBrokers:
		resp.ErrorCode = codeNoEndpoint
	}
	if resp.ErrorCode != 0 {
		resp.ErrorMessage = standardText(resp.ErrorCode)
		return answer(resp), nil
	}
	resp.ClusterID = x.ClusterID
	for _, b := range x.Pool.Brokers() {
		row := kmsg.NewDescribeClusterResponseBroker()
		row.NodeID, row.Rack = b.Node, b.Rack
		row.Host, row.Port = x.Address(b.Node)
		resp.Brokers = append(resp.Brokers, row)
	}
	resp.ControllerID = x.controller(x.Pool.Controller(), x.liveNodes())
	resp.ClusterAuthorizedOperations = x.operations(req.IncludeClusterAuthorizedOperations, kmsg.ACLResourceTypeCluster, clusterName)
	return answer(resp), nil
}

// liveNodes are the nodes of the pool's live brokers, ascending.
func (s *Session) liveNodes() []int32 {
	brokers := s.Pool.Brokers()
	nodes := make([]int32, 0, len(brokers))
	for _, b := range brokers {
		nodes = append(nodes, b.Node)
	}
	return nodes
}

// controller is the node that a client sends its administration to: the named
// one if it is live, else the lowest live one (any broker of a KRaft cluster
// passes it on), -1 if there is none.
func (s *Session) controller(named int32, live []int32) int32 {
	if len(live) == 0 {
		return noNode
	}
	if slices.Contains(live, named) {
		return named
	}
	return slices.Min(live)
}
