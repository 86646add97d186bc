"""How bytes reach the frontend: loopback and public gRPC."""
