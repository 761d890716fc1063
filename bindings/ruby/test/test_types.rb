# frozen_string_literal: true

require_relative "helper"

# The signatures are those of the gem: no call lacks one, and none is of a call that is gone. helper.rb has the other
# tests hold each argument and result against them.
class TestTypes < Minitest::Test
  # Calls for the gem's own classes.
  INNER = { Plexindex::Index => %i[call call_apart clone dup fill json query] }.freeze
  SIG = Pathname(File.expand_path("../sig", __dir__))

  def builder
    loader = RBS::EnvironmentLoader.new
    loader.add(path: SIG)
    @builder ||= RBS::DefinitionBuilder.new(env: RBS::Environment.from_loader(loader).resolve_type_names)
  end

  def own(definition)
    definition.methods.select { |_, method| method.defined_in == definition.type_name && method.public? }.keys - [:initialize]
  end

  def test_each_public_method_has_a_type
    skip "the gem rbs is not installed" unless defined?(RBS::DefinitionBuilder)

    classes = Plexindex.constants.map { |name| Plexindex.const_get(name) }.grep(Class)
    classes.each do |one|
      found = one.public_instance_methods(false) - INNER.fetch(one, [])
      found.reject! { |name| name.match?(/RBS_TEST/) } # what the checks add
      found.reject! { |name| name.end_with?("=") || name == :initialize } if one < Struct
      typed = own(builder.build_instance(RBS::TypeName.new(name: one.name.split("::").last.to_sym, namespace: RBS::Namespace.parse("::Plexindex"))))
      typed.reject! { |name| name.end_with?("=") } if one < Struct
      assert_equal found.sort, typed.sort, one.name
    end
    assert_equal 10, classes.size
    functions = Plexindex.singleton_methods.grep_v(/RBS_TEST/)
    assert_equal functions.sort, own(builder.build_singleton(RBS::TypeName.new(name: :Plexindex, namespace: RBS::Namespace.root))).sort
  end

  def test_each_option_has_a_type
    skip "the gem rbs is not installed" unless defined?(RBS::DefinitionBuilder)

    open = builder.build_singleton(RBS::TypeName.new(name: :Plexindex, namespace: RBS::Namespace.root)).methods[:open]
    own = %i[size flags reserved mappings_count renew_token_user]
    options = Plexindex.const_get(:Native).fields("options").keys - own + Plexindex.send(:const_get, :FLAGS).keys
    open.method_types.each do |type|
      assert_equal options.sort, (type.type.required_keywords.keys + type.type.optional_keywords.keys).sort
    end
  end
end
