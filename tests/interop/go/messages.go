package main

// The messages, written by hand so that the module needs no generated code. Field names and numbers are those of
// tests/interop/probe.proto, examples/proto/game.proto, examples/proto/gate.proto and proto/pb.proto.

import "github.com/golang/protobuf/proto"

// Message is what the test services of both sides say to each other.
type Message struct {
	Text   string `protobuf:"bytes,1,opt,name=Text,proto3" json:"Text,omitempty"`
	Code   int32  `protobuf:"varint,2,opt,name=Code,proto3" json:"Code,omitempty"`
	Number int64  `protobuf:"varint,3,opt,name=Number,proto3" json:"Number,omitempty"`
	Data   []byte `protobuf:"bytes,4,opt,name=Data,proto3" json:"Data,omitempty"`
}

func (m *Message) Reset()         { *m = Message{} }
func (m *Message) String() string { return proto.CompactTextString(m) }
func (*Message) ProtoMessage()    {}

type InForwardProtocol struct {
	Cmd  uint32 `protobuf:"varint,1,opt,name=Cmd,proto3" json:"Cmd,omitempty"`
	Data []byte `protobuf:"bytes,2,opt,name=Data,proto3" json:"Data,omitempty"`
}

func (m *InForwardProtocol) Reset()         { *m = InForwardProtocol{} }
func (m *InForwardProtocol) String() string { return proto.CompactTextString(m) }
func (*InForwardProtocol) ProtoMessage()    {}

type OutForwardProtocol struct {
	Code uint32 `protobuf:"varint,1,opt,name=Code,proto3" json:"Code,omitempty"`
	Data []byte `protobuf:"bytes,2,opt,name=Data,proto3" json:"Data,omitempty"`
}

func (m *OutForwardProtocol) Reset()         { *m = OutForwardProtocol{} }
func (m *OutForwardProtocol) String() string { return proto.CompactTextString(m) }
func (*OutForwardProtocol) ProtoMessage()    {}

// Empty stands for every message without fields.
type Empty struct{}

func (m *Empty) Reset()         { *m = Empty{} }
func (m *Empty) String() string { return proto.CompactTextString(m) }
func (*Empty) ProtoMessage()    {}

type InGatePush struct {
	ClientId string `protobuf:"bytes,1,opt,name=ClientId,proto3" json:"ClientId,omitempty"`
	Cmd      uint32 `protobuf:"varint,2,opt,name=Cmd,proto3" json:"Cmd,omitempty"`
	Code     uint32 `protobuf:"varint,3,opt,name=Code,proto3" json:"Code,omitempty"`
	Data     []byte `protobuf:"bytes,4,opt,name=Data,proto3" json:"Data,omitempty"`
}

func (m *InGatePush) Reset()         { *m = InGatePush{} }
func (m *InGatePush) String() string { return proto.CompactTextString(m) }
func (*InGatePush) ProtoMessage()    {}

type InGateBind struct {
	ClientId  string            `protobuf:"bytes,1,opt,name=ClientId,proto3" json:"ClientId,omitempty"`
	Meta      map[string]string `protobuf:"bytes,2,rep,name=Meta,proto3" json:"Meta,omitempty" protobuf_key:"bytes,1,opt,name=key,proto3" protobuf_val:"bytes,2,opt,name=value,proto3"`
	AuthState int32             `protobuf:"varint,3,opt,name=AuthState,proto3" json:"AuthState,omitempty"`
}

func (m *InGateBind) Reset()         { *m = InGateBind{} }
func (m *InGateBind) String() string { return proto.CompactTextString(m) }
func (*InGateBind) ProtoMessage()    {}

type InGateKick struct {
	ClientId  string `protobuf:"bytes,1,opt,name=ClientId,proto3" json:"ClientId,omitempty"`
	MetaKey   string `protobuf:"bytes,2,opt,name=MetaKey,proto3" json:"MetaKey,omitempty"`
	MetaValue string `protobuf:"bytes,3,opt,name=MetaValue,proto3" json:"MetaValue,omitempty"`
	Reason    string `protobuf:"bytes,4,opt,name=Reason,proto3" json:"Reason,omitempty"`
}

func (m *InGateKick) Reset()         { *m = InGateKick{} }
func (m *InGateKick) String() string { return proto.CompactTextString(m) }
func (*InGateKick) ProtoMessage()    {}

// Cancel stops the nodes of a service that hear it on the topic `cancel`.
type Cancel struct {
	Name   string `protobuf:"bytes,1,opt,name=Name,proto3" json:"Name,omitempty"`
	NodeId string `protobuf:"bytes,2,opt,name=NodeId,proto3" json:"NodeId,omitempty"`
}

func (m *Cancel) Reset()         { *m = Cancel{} }
func (m *Cancel) String() string { return proto.CompactTextString(m) }
func (*Cancel) ProtoMessage()    {}
