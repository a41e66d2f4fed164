#include <cstdio>
int main() { std::puts("longhand"); }
