
return steps[ARGV[1]](unpack(ARGV, 3))
