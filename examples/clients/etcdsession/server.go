package etcdsession

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// unused are the calls that a session does not make.
type unused struct{ pb.LeaseClient }

// LeaseRevoke implements pb.LeaseClient.
func (s *server) LeaseRevoke(ctx context.Context, _ *pb.LeaseRevokeRequest, _ ...grpc.CallOption) (*pb.LeaseRevokeResponse, error) {
	return &pb.LeaseRevokeResponse{}, s.release(ctx)
}

// LeaseKeepAlive implements pb.LeaseClient.
func (s *server) LeaseKeepAlive(ctx context.Context, _ ...grpc.CallOption) (pb.Lease_LeaseKeepAliveClient, error) {
	return &stream{ctx: ctx, server: s, asked: make(chan int64, 16)}, nil
}

// stream is a stream of keep-alives. It answers one after the other.
type stream struct {
	grpc.ClientStream
	ctx    context.Context
	server *server
	asked  chan int64
}

// Context implements grpc.ClientStream.
func (s *stream) Context() context.Context { return s.ctx }

// CloseSend implements grpc.ClientStream.
func (s *stream) CloseSend() error { return nil }

// Send implements pb.Lease_LeaseKeepAliveClient. What does not fit into the stream's
// buffer is dropped: a keep-alive that has not been answered is sent again.
func (s *stream) Send(r *pb.LeaseKeepAliveRequest) error {
	select {
	case s.asked <- r.ID:
	default:
	}
	return s.ctx.Err()
}

// Recv implements pb.Lease_LeaseKeepAliveClient. A renewal that has no answer breaks
// the stream, as a connection that is lost does.
func (s *stream) Recv() (*pb.LeaseKeepAliveResponse, error) {
	select {
	case id := <-s.asked:
		seconds, err := s.server.renew(s.ctx)
		return &pb.LeaseKeepAliveResponse{ID: id, TTL: seconds}, err
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}
