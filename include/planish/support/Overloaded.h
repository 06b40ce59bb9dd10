// Exhaustive matching on a std::variant: std::visit(Overloaded{...}, v).
#pragma once

namespace planish {

template <class... Fs> struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs> Overloaded(Fs...) -> Overloaded<Fs...>;

} // namespace planish
