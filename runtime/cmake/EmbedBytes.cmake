# cmake -DINPUT=<file> -DOUTPUT=<file.cpp> -DNAME=<constant> -P EmbedBytes.cmake
# Writes a C++ source that defines planish::<NAME>[] with the bytes of a file, and planish::<NAME>Size.
file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT}
  "#include \"planish/artifact/RuntimeBitcode.h\"\n\n"
  "namespace planish {\n"
  "const unsigned char ${NAME}[] = {\n${bytes}};\n"
  "const std::size_t ${NAME}Size = ${size};\n"
  "} // namespace planish\n")
