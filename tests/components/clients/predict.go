// Go's stock client: a whole body, one of unknown length, and one that waits for 100 Continue.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const patient = `{"gender":"Male","age":67,"hypertension":0,"heart_disease":1,` +
	`"avg_glucose_level":228.69,"bmi":36.6,"smoking_status":"formerly smoked",` +
	`"name":"Zoë Example","country":"France","province":"Bretagne"}`

func main() {
	transport := &http.Transport{ExpectContinueTimeout: 5 * time.Second}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for _, kind := range []string{"whole", "stream", "expect", "whole"} {
		var body io.Reader = strings.NewReader(patient)
		if kind == "stream" {
			body = io.MultiReader(strings.NewReader(patient[:40]), strings.NewReader(patient[40:]))
		}
		request, err := http.NewRequest("POST", os.Args[1]+"/predict", body)
		if err != nil {
			panic(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if kind == "expect" {
			request.Header.Set("Expect", "100-continue")
		}
		answer, err := client.Do(request)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		fmt.Println(answer.StatusCode)
	}
}
