#include "tools/protoc_gen_rpc/baseline.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

#include "tools/protoc_gen_rpc/services.h"

namespace rpcgen {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;
using pb::FieldDescriptorProto;

std::string join(std::string_view scope, std::string_view name) {
  return scope.empty() ? std::string(name) : fmt::format("{}.{}", scope, name);
}

// ".game.Role" -> "game.Role"
std::string full_type(std::string_view type_name) {
  return std::string(type_name.substr(type_name.starts_with('.') ? 1 : 0));
}

std::string type_text(const FieldDescriptorProto& field) {
  if (!field.type_name().empty()) return full_type(field.type_name());
  return FieldDescriptor::TypeName(static_cast<FieldDescriptor::Type>(field.type()));
}
std::string type_text(const FieldDescriptor* field) {
  if (field->message_type()) return field->message_type()->full_name();
  if (field->enum_type()) return field->enum_type()->full_name();
  return field->type_name();
}

std::string_view label_text(FieldDescriptorProto::Label label) {
  switch (label) {
    case FieldDescriptorProto::LABEL_REQUIRED:
      return "required";
    case FieldDescriptorProto::LABEL_REPEATED:
      return "repeated";
    default:
      return "single";
  }
}
std::string_view label_text(const FieldDescriptor* field) {
  return label_text(static_cast<FieldDescriptorProto::Label>(field->label()));
}

std::string_view stream_text(bool stream) {
  return stream ? "a stream" : "one message";
}

class Comparer {
 public:
  Comparer(const pb::DescriptorPool* now, const Options& options, Faults& faults)
      : now_(now), names_(!options.wire_only), faults_(faults) {}

  // `file`: what is now under the old file's name, or null.
  void compare_file(const pb::FileDescriptorProto& old, const pb::FileDescriptor* file) {
    place_ = {old.name(), 1, 1};
    if (file && file->package() != old.package()) {
      fault(place_of(file, {pb::FileDescriptorProto::kPackageFieldNumber}),
            "the package was \"{}\", is \"{}\": all names in it change", old.package(), file->package());
      return;
    }
    const bool was_proto3 = old.syntax() == "proto3";
    if (file && was_proto3 != (file->syntax() == pb::FileDescriptor::SYNTAX_PROTO3)) {
      fault(place_of(file, {pb::FileDescriptorProto::kSyntaxFieldNumber}), "the syntax was {}, is {}",
            was_proto3 ? "proto3" : "proto2", was_proto3 ? "proto2" : "proto3");
    }
    for (const auto& message : old.message_type())
      compare_message(message, join(old.package(), message.name()), place_);
    for (const auto& type : old.enum_type()) compare_enum(type, join(old.package(), type.name()), place_);
    for (const auto& service : old.service()) compare_service(service, join(old.package(), service.name()));
  }

 private:
  template <class... Args>
  void fault(const Place& place, fmt::format_string<Args...> format, Args&&... args) {
    faults_.add(place, "breaking change: {}", fmt::format(format, std::forward<Args>(args)...));
  }

  // `around`: the place of what it was in.
  void compare_message(const pb::DescriptorProto& old, const std::string& name, const Place& around) {
    const pb::Descriptor* const now = now_->FindMessageTypeByName(name);
    if (!now) return fault(around, "message {} was removed", name);
    const Place place = name_place(now);
    for (const FieldDescriptorProto& field : old.field()) compare_field(old, field, now, place);
    for (int i = 0; i < now->field_count(); ++i) check_new_field(old, now->field(i));
    for (const auto& nested : old.nested_type()) {
      if (!nested.options().map_entry()) compare_message(nested, join(name, nested.name()), place);
    }
    for (const auto& type : old.enum_type()) compare_enum(type, join(name, type.name()), place);
  }

  void compare_field(const pb::DescriptorProto& old_message, const FieldDescriptorProto& old,
                     const pb::Descriptor* message, const Place& place) {
    const std::string name = fmt::format("field {}.{} ({})", message->full_name(), old.name(), old.number());
    const FieldDescriptor* const now = message->FindFieldByNumber(old.number());
    const FieldDescriptor* const same_name = message->FindFieldByName(old.name());
    if (same_name && same_name->number() != old.number() && (names_ || !now)) {
      return fault(name_place(same_name), "{}: its number is {} now", name, same_name->number());
    }
    if (!now) {
      if (message->IsReservedNumber(old.number()) && (!names_ || message->IsReservedName(old.name()))) return;
      return fault(place, "{} was removed; if that is meant, write: reserved {}; reserved \"{}\";", name, old.number(),
                   old.name());
    }
    const Place where = name_place(now);
    if (names_ && now->name() != old.name()) {
      fault(where, "{}: its name is {} now (JSON has names; compat=wire allows it)", name, now->name());
    } else if (names_ && old.has_json_name() && now->json_name() != old.json_name()) {
      fault(where, "{}: its JSON name was {}, is {}", name, old.json_name(), now->json_name());
    }
    compare_type(old_message, old, now, name);
    if (label_text(old.label()) != label_text(now)) {
      fault(where, "{}: it was {}, is {}", name, label_text(old.label()), label_text(now));
    }
    compare_oneof(old_message, old, now, name);
    if (old.has_default_value() != now->has_default_value() ||
        (old.has_default_value() && old.default_value() != default_of(now))) {
      fault(where, "{}: its default value changed", name);
    }
  }

  static std::string default_of(const FieldDescriptor* field) {
    FieldDescriptorProto proto;
    field->CopyTo(&proto);
    return proto.default_value();
  }

  static const pb::DescriptorProto* map_entry(const pb::DescriptorProto& message, const FieldDescriptorProto& field) {
    const std::string_view type = field.type_name();
    for (const auto& nested : message.nested_type()) {
      if (nested.options().map_entry() && type.substr(type.rfind('.') + 1) == nested.name()) return &nested;
    }
    return nullptr;
  }

  void compare_type(const pb::DescriptorProto& old_message, const FieldDescriptorProto& old, const FieldDescriptor* now,
                    const std::string& name) {
    std::string was = type_text(old);
    std::string is = type_text(now);
    const pb::DescriptorProto* const entry =
        old.label() == FieldDescriptorProto::LABEL_REPEATED ? map_entry(old_message, old) : nullptr;
    if (entry && entry->field_size() == 2) {
      was = fmt::format("map<{}, {}>", type_text(entry->field(0)), type_text(entry->field(1)));
    }
    if (now->is_map()) {
      is = fmt::format("map<{}, {}>", type_text(now->message_type()->map_key()),
                       type_text(now->message_type()->map_value()));
    }
    if (was != is || (!entry && static_cast<int>(old.type()) != static_cast<int>(now->type()))) {
      fault(name_place(now), "{}: its type was {}, is {}", name, was, is);
    }
  }

  // A field that joins others in a oneof erases them when it is set, and is erased by them.
  void compare_oneof(const pb::DescriptorProto& old_message, const FieldDescriptorProto& old,
                     const FieldDescriptor* now, const std::string& name) {
    const bool was_in = old.has_oneof_index() && !old.proto3_optional();
    const pb::OneofDescriptor* const now_in = now->real_containing_oneof();
    if (was_in && !now_in) {
      fault(name_place(now), "{}: it was in oneof {}, is in none", name,
            old_message.oneof_decl(old.oneof_index()).name());
    } else if (!was_in && now_in && now_in->field_count() > 1) {
      fault(name_place(now), "{}: it was in no oneof, is in {}", name, now_in->name());
    } else if (was_in && now_in) {
      // Their names are nowhere on the wire; what counts is the company.
      for (const FieldDescriptorProto& other : old_message.field()) {
        if (other.number() == old.number() || !other.has_oneof_index() || other.proto3_optional()) continue;
        const FieldDescriptor* const there = now->containing_type()->FindFieldByNumber(other.number());
        if (!there) continue;
        const bool together = other.oneof_index() == old.oneof_index();
        if (together != (there->real_containing_oneof() == now_in)) {
          return fault(name_place(now), "{}: it was {} a oneof with {}, is {}", name, together ? "in" : "not in",
                       other.name(), together ? "not" : "now");
        }
      }
    }
  }

  void check_new_field(const pb::DescriptorProto& old, const FieldDescriptor* now) {
    const auto same_number = [now](const FieldDescriptorProto& field) { return field.number() == now->number(); };
    if (std::ranges::any_of(old.field(), same_number)) return;
    const std::string name = fmt::format("field {} ({})", now->full_name(), now->number());
    if (now->is_required()) {
      fault(name_place(now), "{} is new and required: messages of older peers lack it", name);
    }
    for (const auto& range : old.reserved_range()) {
      if (range.start() <= now->number() && now->number() < range.end()) {
        fault(name_place(now), "{}: its number was reserved, for a field of former times", name);
      }
    }
    if (names_ && std::ranges::find(old.reserved_name(), now->name()) != old.reserved_name().end()) {
      fault(name_place(now), "{}: its name was reserved, for a field of former times", name);
    }
  }

  void compare_enum(const pb::EnumDescriptorProto& old, const std::string& name, const Place& around) {
    const pb::EnumDescriptor* const now = now_->FindEnumTypeByName(name);
    if (!now) return fault(around, "enum {} was removed", name);
    for (const auto& value : old.value()) {
      const std::string who = fmt::format("enum value {}.{} ({})", name, value.name(), value.number());
      const pb::EnumValueDescriptor* const same_name = now->FindValueByName(value.name());
      const pb::EnumValueDescriptor* const same_number = now->FindValueByNumber(value.number());
      if (same_name && same_name->number() == value.number()) continue;
      if (same_name && (names_ || !same_number)) {
        fault(name_place(same_name), "{}: its number is {} now", who, same_name->number());
      } else if (same_number) {
        if (!names_) continue;
        fault(name_place(same_number), "{}: its name is {} now (JSON has names; compat=wire allows it)", who,
              same_number->name());
      } else if (!now->IsReservedNumber(value.number()) || (names_ && !now->IsReservedName(value.name()))) {
        fault(name_place(now), "{} was removed; if that is meant, write: reserved {}; reserved \"{}\";", who,
              value.number(), value.name());
      }
    }
    for (int i = 0; i < now->value_count(); ++i) check_new_value(old, now->value(i));
  }

  void check_new_value(const pb::EnumDescriptorProto& old, const pb::EnumValueDescriptor* now) {
    for (const auto& range : old.reserved_range()) {
      if (range.start() <= now->number() && now->number() <= range.end()) {
        fault(name_place(now), "enum value {}.{} ({}): its number was reserved, for a value of former times",
              now->type()->full_name(), now->name(), now->number());
      }
    }
  }

  void compare_service(const pb::ServiceDescriptorProto& old, const std::string& name) {
    const pb::ServiceDescriptor* const now = now_->FindServiceByName(name);
    if (!now) return fault(place_, "service {} was removed", name);
    for (const auto& method : old.method()) {
      const CommandName command = parse_command_name(method.name());
      const std::string who = fmt::format("method {}.{}", name, method.name());
      const pb::MethodDescriptor* const same = command.is_command && command.fault.empty()
                                                   ? find_command(now, command.command)
                                                   : now->FindMethodByName(method.name());
      if (!same) {
        fault(name_place(now), "{} was removed", who);
        continue;
      }
      const Place where = name_place(same);
      if (full_type(method.input_type()) != same->input_type()->full_name()) {
        fault(where, "{}: its request was {}, is {}", who, full_type(method.input_type()),
              same->input_type()->full_name());
      }
      if (full_type(method.output_type()) != same->output_type()->full_name()) {
        fault(where, "{}: its reply was {}, is {}", who, full_type(method.output_type()),
              same->output_type()->full_name());
      }
      if (method.client_streaming() != same->client_streaming()) {
        fault(where, "{}: its request was {}, is {}", who, stream_text(method.client_streaming()),
              stream_text(same->client_streaming()));
      }
      if (method.server_streaming() != same->server_streaming()) {
        fault(where, "{}: its reply was {}, is {}", who, stream_text(method.server_streaming()),
              stream_text(same->server_streaming()));
      }
    }
  }

  // The number is on the wire, the name before it is not.
  static const pb::MethodDescriptor* find_command(const pb::ServiceDescriptor* service, std::uint32_t command) {
    for (int i = 0; i < service->method_count(); ++i) {
      const CommandName parsed = parse_command_name(service->method(i)->name());
      if (parsed.is_command && parsed.fault.empty() && parsed.command == command) return service->method(i);
    }
    return nullptr;
  }

  const pb::DescriptorPool* now_;
  bool names_;
  Faults& faults_;
  Place place_;  // Of what is gone with all that was around it.
};

// The names of a file and of all that it imports.
void collect(const pb::FileDescriptor* file, std::set<std::string>& names) {
  if (!names.insert(file->name()).second) return;
  for (int i = 0; i < file->dependency_count(); ++i) collect(file->dependency(i), names);
}

}  // namespace

void compare(const pb::FileDescriptorSet& old, const Files& files, const Options& options, Faults& faults) {
  if (files.empty()) return;
  std::set<std::string> known;
  for (const pb::FileDescriptor* file : files) collect(file, known);
  Comparer comparer(files.front()->pool(), options, faults);
  for (const pb::FileDescriptorProto& file : old.file()) {
    const auto given = std::ranges::find(files, file.name(), &pb::FileDescriptor::name);
    if (given != files.end()) {
      comparer.compare_file(file, *given);
    } else if (options.check && !known.contains(file.name())) {
      comparer.compare_file(file, nullptr);
    }
  }
}

void check_baseline(const Files& files, const Options& options, Faults& faults) {
  std::ifstream in(options.baseline, std::ios::binary);
  if (!in) {
    faults.add(fmt::format("baseline {}: cannot be read; write it with: protoc --descriptor_set_out={} FILES",
                           options.baseline, options.baseline));
    return;
  }
  pb::FileDescriptorSet old;
  if (!old.ParseFromIstream(&in) || old.file().empty()) {
    faults.add(
        fmt::format("baseline {}: it is no FileDescriptorSet; write it anew with: protoc "
                    "--descriptor_set_out={} FILES",
                    options.baseline, options.baseline));
    return;
  }
  compare(old, files, options, faults);
}

}  // namespace rpcgen
