#include "ConstantText.h"
#include "ExprText.h"
#include "planish/graph/Text.h"

#include <algorithm>
#include <utility>

namespace planish::graph {

namespace {

template <class ParseElement>
auto parseList(Lexer &lexer, ParseElement element)
    -> Result<std::vector<std::decay_t<decltype(*element())>>> {
  std::vector<std::decay_t<decltype(*element())>> r;
  PLANISH_TRY(lexer.expect("["));
  while (!lexer.at("]")) {
    auto value = element();
    if (!value) return value.error();
    r.push_back(*std::move(value));
    if (!lexer.accept(",")) break;
  }
  PLANISH_TRY(lexer.expect("]"));
  return r;
}

Result<Dim> parseDim(Lexer &lexer, const SymbolLookup &lookup) {
  if (lexer.peek().kind == TokenKind::Integer) {
    PLANISH_ASSIGN(int64_t size, lexer.integer());
    if (size < 0) return badInput("a dimension of " + std::to_string(size));
    return Dim(size);
  }
  Lexer here = lexer;
  PLANISH_ASSIGN(std::string name, parseName(lexer));
  auto symbol = lookup(name);
  if (!symbol) return here.error("a declared symbol");
  return Dim(*symbol);
}

Result<Shape> parseShape(Lexer &lexer, const SymbolLookup &lookup) {
  return parseList(lexer, [&] { return parseDim(lexer, lookup); });
}

/// Fills the fields of an attribute struct from `{name=value, ...}`, in any order.
class FieldParser : public FieldVisitor {
public:
  FieldParser(Lexer &lexer, const SymbolLookup &lookup) : symbols(lookup) { status = index(lexer); }

  void field(std::string_view name, int64_t &value) override {
    read(name, value, [](Lexer &l) { return l.integer(); });
  }
  void field(std::string_view name, double &value) override {
    read(name, value, [](Lexer &l) { return l.number(); });
  }
  void field(std::string_view name, bool &value) override {
    read(name, value, [](Lexer &l) -> Result<bool> {
      if (l.accept("true")) return true;
      PLANISH_TRY(l.expect("false"));
      return false;
    });
  }
  void field(std::string_view name, DType &value) override {
    read(name, value, [](Lexer &l) -> Result<DType> {
      auto dtype = dtypeNamed(l.peek().text);
      if (!dtype) return l.error("an element type");
      l.next();
      return *dtype;
    });
  }
  void field(std::string_view name, std::vector<int64_t> &value) override {
    read(name, value, [](Lexer &l) { return parseList(l, [&] { return l.integer(); }); });
  }
  void field(std::string_view name, std::vector<double> &value) override {
    read(name, value, [](Lexer &l) { return parseList(l, [&] { return l.number(); }); });
  }
  void field(std::string_view name, Shape &value) override {
    read(name, value, [&](Lexer &l) { return parseShape(l, symbols); });
  }

  /// After the visit: the first error, or a field the operator does not have.
  Status finish() const {
    if (!status) return status;
    for (auto &[name, at] : values)
      if (!known.contains(name))
        return at.error("a value of an attribute that the operator has, not '" + name + "',");
    return {};
  }

protected:
  void choice(std::string_view name, int &value, std::span<const std::string_view> spellings) override {
    read(name, value, [&](Lexer &l) -> Result<int> {
      auto found = std::ranges::find(spellings, l.peek().text);
      if (found == spellings.end())
        return l.error("one of " + joined(spellings, [](auto s) { return std::string(s); }));
      l.next();
      return int(found - spellings.begin());
    });
  }

private:
  /// Notes where the value of every field starts.
  Status index(Lexer &lexer) {
    if (!lexer.accept("{")) return {};
    while (!lexer.at("}")) {
      PLANISH_ASSIGN(std::string name, lexer.name());
      PLANISH_TRY(lexer.expect("="));
      values.insert_or_assign(name, lexer);
      for (int depth = 0; depth > 0 || !(lexer.at(",") || lexer.at("}"));) {
        if (lexer.peek().kind == TokenKind::End) return lexer.error("'}'");
        depth += lexer.at("[") ? 1 : lexer.at("]") ? -1 : 0;
        lexer.next();
      }
      if (!lexer.accept(",")) break;
    }
    return lexer.expect("}");
  }

  template <class T, class Parse> void read(std::string_view name, T &value, Parse parse) {
    known.emplace(name, true);
    auto found = values.find(name);
    if (found == values.end() || !status) return;
    Lexer at = found->second;
    auto parsed = parse(at);
    if (!parsed) status = parsed.error();
    else if (!at.at(",") && !at.at("}")) status = at.error("',' or '}'");
    else value = *std::move(parsed);
  }

  const SymbolLookup &symbols;
  std::map<std::string, Lexer, std::less<>> values;
  std::map<std::string, bool, std::less<>> known;
  Status status;
};

} // namespace

class TextParser {
public:
  TextParser(std::string_view text, std::span<const OpDef *const> operators, const Blobs &blobStore)
      : lexer(text), ops(operators), blobs(blobStore) {}

  Result<Graph> run() {
    PLANISH_TRY(lexer.expect("graph"));
    PLANISH_TRY(lexer.expect("@"));
    PLANISH_TRY(lexer.name());
    Graph g;
    Lexer parameters = lexer;  // their types mention symbols that are declared behind them
    PLANISH_TRY(skipParentheses());
    PLANISH_TRY(parseSymbols(g));
    std::swap(lexer, parameters);
    PLANISH_TRY(parseInputs(g));
    lexer = parameters;
    PLANISH_TRY(parseBody(g));
    if (lexer.peek().kind != TokenKind::End) return lexer.error("the end");
    return g;
  }

private:
  using ValueNames = std::map<std::string, ValueId>;
  static constexpr int kMaxDepth = 64;  // of regions

  Status skipParentheses() {
    int depth = 0;
    do {
      if (lexer.peek().kind == TokenKind::End) return lexer.error("')'");
      depth += lexer.at("(") ? 1 : lexer.at(")") ? -1 : 0;
      lexer.next();
    } while (depth > 0);
    return {};
  }

  Status parseSymbols(Graph &g) {
    if (!lexer.accept("symbols")) return {};
    PLANISH_TRY(lexer.expect("("));
    do {
      Symbol s;
      Lexer here = lexer;
      PLANISH_ASSIGN(std::string name, parseName(lexer));
      if (symbols.contains(name)) return here.error("a name that no other symbol has");
      PLANISH_TRY(lexer.expect(":"));
      PLANISH_ASSIGN(int64_t lower, lexer.integer());
      PLANISH_TRY(lexer.expect(".."));
      PLANISH_ASSIGN(int64_t upper, lexer.integer());
      if (lower < 0 || lower > upper) return here.error("bounds with 0 <= lower <= upper");
      PLANISH_TRY(lexer.expect("="));
      s.var = loop::var(name, Type{DType::i64, 1}, lower, upper);
      if (lexer.accept("input")) {
        PLANISH_ASSIGN(int64_t input, lexer.integer());
        PLANISH_TRY(lexer.expect("dim"));
        PLANISH_ASSIGN(int64_t dim, lexer.integer());
        s.input = int(input), s.dim = int(dim);
      } else if (lexer.accept("value")) {
        PLANISH_TRY(lexer.expect("%"));
        PLANISH_ASSIGN(std::string value, parseName(lexer));
        PLANISH_TRY(lexer.expect("element"));
        PLANISH_ASSIGN(s.element, lexer.integer());
        held.emplace(value, s.var);
      } else {
        PLANISH_ASSIGN(s.definition, parseExpr(lexer, lookup));
      }
      symbols[name] = g.addSymbol(std::move(s));
    } while (lexer.accept(","));
    return lexer.expect(")");
  }

  Result<TensorType> parseType() {
    TensorType type;
    auto dtype = dtypeNamed(lexer.peek().text);
    if (!dtype) return lexer.error("an element type");
    lexer.next();
    type.dtype = *dtype;
    PLANISH_ASSIGN(type.shape, parseShape(lexer, lookup));
    if (lexer.accept("@")) {
      PLANISH_TRY(lexer.expect("("));
      do {
        PLANISH_ASSIGN(int64_t dim, lexer.integer());
        type.layout.push_back(uint8_t(dim));
      } while (lexer.accept(","));
      PLANISH_TRY(lexer.expect(")"));
    }
    if (lexer.accept("quant")) PLANISH_TRY(parseQuant(type));
    return type;
  }

  Status parseQuant(TensorType &type) {
    QuantParams q;
    PLANISH_TRY(lexer.expect("("));
    PLANISH_ASSIGN(std::vector<double> scale, parseList(lexer, [&] { return lexer.number(); }));
    PLANISH_TRY(lexer.expect(","));
    PLANISH_ASSIGN(std::vector<int64_t> zeroPoint, parseList(lexer, [&] { return lexer.integer(); }));
    PLANISH_TRY(lexer.expect(","));
    PLANISH_ASSIGN(int64_t axis, lexer.integer());
    q.scale.assign(scale.begin(), scale.end());
    for (int64_t z : zeroPoint) q.zeroPoint.push_back(int32_t(z));
    q.axis = int(axis);
    type.quant = std::move(q);
    return lexer.expect(")");
  }

  /// "%name" that is not taken; a bookmark for later complaints comes with it.
  Result<std::string> newName(const Graph &g) {
    Lexer here = lexer;
    PLANISH_TRY(lexer.expect("%"));
    PLANISH_ASSIGN(std::string name, parseName(lexer));
    if (g.names.contains(name)) return here.error("a name that no other value has");
    return name;
  }

  Status parseInputs(Graph &g) {
    PLANISH_TRY(lexer.expect("("));
    while (!lexer.at(")")) {
      PLANISH_ASSIGN(std::string name, newName(g));
      PLANISH_TRY(lexer.expect(":"));
      PLANISH_ASSIGN(TensorType type, parseType());
      g.addInput(std::move(type), std::move(name));
      if (!lexer.accept(",")) break;
    }
    return lexer.expect(")");
  }

  Status parseBody(Graph &g) {
    PLANISH_TRY(lexer.expect("{"));
    ValueNames named;
    auto waiting = std::exchange(held, {});  // those of this graph, not of regions inside
    // Sizes are known by the values that hold them as soon as these stand there.
    auto bindSizes = [&](ValueId v) {
      auto [first, last] = waiting.equal_range(g[v].name);
      for (auto s = first; s != last; ++s) g.bindSize(s->second, v);
      waiting.erase(first, last);
    };
    for (ValueId v : g.inputs()) named[g[v].name] = v, bindSizes(v);
    for (size_t done = g.values().size(); !lexer.accept("return");) {
      PLANISH_TRY(parseStatement(g, named));
      for (; done < g.values().size(); ++done) bindSizes(ValueId{uint32_t(done)});
    }
    if (!waiting.empty()) return lexer.error("a value '" + waiting.begin()->first + "' that holds a size,");
    std::vector<ValueId> outputs;
    while (lexer.at("%")) {
      PLANISH_ASSIGN(ValueId v, parseUse(named));
      outputs.push_back(v);
      if (!lexer.accept(",")) break;
    }
    g.setOutputs(std::move(outputs));
    return lexer.expect("}");
  }

  Result<ValueId> parseUse(const ValueNames &named) {
    if (lexer.accept("_")) return kAbsent;
    Lexer here = lexer;
    PLANISH_TRY(lexer.expect("%"));
    PLANISH_ASSIGN(std::string name, parseName(lexer));
    auto found = named.find(name);
    if (found == named.end()) return here.error("a value that stands before its use");
    return found->second;
  }

  Status parseStatement(Graph &g, ValueNames &named) {
    std::vector<std::string> names;
    std::vector<TensorType> types;
    Lexer start = lexer;
    do {
      PLANISH_ASSIGN(std::string name, newName(g));
      names.push_back(std::move(name));
      if (!lexer.accept(":")) break;
      PLANISH_ASSIGN(TensorType type, parseType());
      types.push_back(std::move(type));
    } while (lexer.accept(","));
    PLANISH_TRY(lexer.expect("="));
    if (types.empty()) {
      PLANISH_TRY(lexer.expect("constant"));
      PLANISH_ASSIGN(named[names[0]], parseConstant(g, names[0]));
      return {};
    }
    PLANISH_ASSIGN(std::vector<ValueId> results, parseNode(g, names, named));
    if (results.size() != types.size()) return start.error(std::to_string(results.size()) + " results");
    for (size_t i = 0; i < results.size(); ++i) {
      TensorType inferred = g.type(results[i]);
      inferred.layout = types[i].layout;
      if (!(inferred == types[i]))
        return start.error("type " + planish::textOf(inferred) + " for '" + names[i] + "' instead of " +
                           planish::textOf(types[i]));
      g.setLayout(results[i], types[i].layout);
      named[names[i]] = results[i];
    }
    return {};
  }

  Result<ValueId> parseConstant(Graph &g, const std::string &name) {
    PLANISH_ASSIGN(TensorType type, parseType());
    Lexer here = lexer;
    Bytes data;
    if (lexer.accept("#")) {
      std::string hash;  // digits and letters come as several tokens
      while (hash.size() < 16 && lexer.peek().kind != TokenKind::End) hash += lexer.next().text;
      auto found = blobs.find(hash);
      if (found == blobs.end()) return here.error("a constant that is among the blobs");
      data = found->second;
    } else {
      PLANISH_ASSIGN(data, parseElements(lexer, type));
    }
    auto count = elementCount(type.shape);
    if (!count || size_t(*count) * size_t(byteSize(type.dtype)) != data->size())
      return here.error("as many elements as " + planish::textOf(type) + " has");
    return g.addConstant(std::move(type), std::move(data), name);
  }

  Result<std::vector<ValueId>> parseNode(Graph &g, const std::vector<std::string> &names,
                                         const ValueNames &named) {
    Lexer here = lexer;
    PLANISH_ASSIGN(std::string opName, lexer.name());
    const OpDef *op = findOp(ops, opName);
    if (!op) return here.error("the name of an operator");
    PLANISH_TRY(lexer.expect("("));
    std::vector<ValueId> operands;
    while (!lexer.at(")")) {
      PLANISH_ASSIGN(ValueId v, parseUse(named));
      operands.push_back(v);
      if (!lexer.accept(",")) break;
    }
    PLANISH_TRY(lexer.expect(")"));
    FieldParser fields(lexer, lookup);
    Attrs attrs = op->prototype.visited(fields);
    PLANISH_TRY(fields.finish());
    Loc loc;
    while (lexer.peek().kind == TokenKind::String) loc.onnxNodes.push_back(lexer.next().text);
    std::vector<Graph> regions;
    while (lexer.accept("region")) {
      if (depth > kMaxDepth) return lexer.error("a region that is nested less deeply");
      ++depth;
      Graph region = Graph::regionOf(g);
      auto outside = symbols;
      PLANISH_TRY(parseInputs(region));
      PLANISH_TRY(parseSymbols(region));
      PLANISH_TRY(parseBody(region));
      symbols = std::move(outside);
      regions.push_back(std::move(region));
      --depth;
    }
    auto made =
        g.append(*op, std::move(attrs), std::move(operands), std::move(loc), names, std::move(regions));
    if (!made) return made.error().in("line " + std::to_string(here.peek().line));
    return made;
  }

  Lexer lexer;
  std::span<const OpDef *const> ops;
  const Blobs &blobs;
  std::map<std::string, Var> symbols;
  int depth = 0;
  std::multimap<std::string, Var> held;  // sizes whose value comes later, by its name
  SymbolLookup lookup = [this](const std::string &name) -> Result<Var> {
    auto found = symbols.find(name);
    if (found == symbols.end()) return badInput("no symbol '" + name + "'");
    return found->second;
  };
};

Result<Graph> parse(std::string_view text, std::span<const OpDef *const> ops, const Blobs &blobs) {
  return TextParser(text, ops, blobs).run();
}

} // namespace planish::graph
