/* lives COUNT CODE: an application that starts an interpreter, runs CODE in it and ends
 * it, COUNT times over in one process. CODE finds the number of its life in `life`,
 * `lives` in all. Ends with 0 if every life went well. */

#include <Python.h>

static int live(int life, int lives, const char* code) {
  char numbers[64];
  snprintf(numbers, sizeof numbers, "life, lives = %d, %d", life, lives);
  Py_Initialize();
  int failed = PyRun_SimpleString(numbers) != 0 || PyRun_SimpleString(code) != 0;
  return Py_FinalizeEx() != 0 || failed;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int lives = atoi(argv[1]);
  for (int life = 1; life <= lives; ++life) {
    if (live(life, lives, argv[2])) {
      fprintf(stderr, "life %d of %d failed\n", life, lives);
      return 1;
    }
  }
  return 0;
}
